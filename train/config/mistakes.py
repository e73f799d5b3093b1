"""What a user mistyped, with the key and the nearest valid names, on one line."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from train.config.choices import groups, options
from train.config.schema import Config
from train.model import CONFIGS, ModelConfig
from train.records import BadInput, printable


def check_words(overrides: Iterable[str]) -> None:
    """Raises BadInput at the first command-line word that names no key or no choice."""
    for word in overrides:
        key, equals, value = word.lstrip("+~").partition("=")
        if not equals and not word.startswith("~"):
            raise BadInput(f"{printable(word)!r}: neither a verb nor key=value. `python -m train` lists both")
        if key in groups():
            if value not in options(key):
                raise BadInput(f"{key}={printable(value)}: there is no such {key}{_nearest(value, options(key))}")
            if key == "experiment" and not word.startswith("+"):
                raise BadInput(f"write +{word}, with a plus: experiments are added to the defaults")
        else:
            _check_key(key)


def _check_key(key: str) -> None:
    kind: Any = Config
    for depth, part in enumerate(parts := key.split(".")):
        if not dataclasses.is_dataclass(kind):
            return  # inside a dictionary: any key
        hints = _hints(kind)
        if part not in hints:
            known = _nearest(part, [*hints, *(groups() if depth == 0 else [])])
            raise BadInput(f"{printable('.'.join(parts[: depth + 1]))}: there is no such key{known}")
        kind = hints[part]
        if typing.get_origin(kind) is dict:
            kind = _Entries(typing.get_args(kind)[1])
        if isinstance(kind, _Entries) and depth + 2 < len(parts):
            return _check_entry(kind.kind, parts, depth + 2)
    return None


def _hints(kind: Any) -> dict[str, Any]:
    """The fields of a config and their types; of the model's, those of all families: Hydra knows the one chosen."""
    kinds = CONFIGS.values() if kind is ModelConfig else [kind]
    return {f.name: typing.get_type_hints(each)[f.name] for each in kinds for f in dataclasses.fields(each)}


@dataclass(frozen=True)
class _Entries:
    """The values of a dictionary in a config."""

    kind: Any


def _check_entry(kind: Any, parts: list[str], depth: int) -> None:
    if not dataclasses.is_dataclass(kind):
        return
    names = [f.name for f in dataclasses.fields(kind)]
    if parts[depth] not in names:
        raise BadInput(f"{printable('.'.join(parts))}: there is no such key{_nearest(parts[depth], names)}")


def _nearest(word: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(sorted(names))}"


def in_one_line(error: BaseException) -> str:
    """What Hydra says, on one line, with the key in front and the nearest names behind."""
    cause = error.__cause__ or error
    text = str(cause)
    key = re.search(r"full_key: (\S+)", text)
    first = printable(text.strip().splitlines()[0] if text.strip() else repr(error))
    unknown = re.search(r"Key '(\w+)' (?:is )?not in '(\w+)'", text)
    schemas = {kind.__name__: kind for root in (Config, *CONFIGS.values()) for kind in _all_dataclasses(root)}
    if unknown and unknown[2] in schemas:
        names = [f.name for f in dataclasses.fields(schemas[unknown[2]])]
        return f"{key[1] if key else unknown[1]}: there is no such key{_nearest(unknown[1], names)}"
    values = re.search(r"Invalid value '([^']*)', expected one of \[([^\]]*)\]", text)
    if values:
        first += _nearest(values[1], values[2].split(", "))
    return f"{key[1]}: {first}" if key else first


def _all_dataclasses(kind: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(kind):
        yield kind
        for hint in typing.get_type_hints(kind).values():
            for inner in (hint, *typing.get_args(hint)):
                yield from _all_dataclasses(inner)
