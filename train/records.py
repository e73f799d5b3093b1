"""What is handed between rooms, and the three habits that all rooms share.

Records: `Document`, `Excluded`, `Batch`. Habits: a user's mistake is a `BadInput`; a file appears whole or not at all
(`write_atomically`); a digest is of content, not of a file (`digest_json`).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

MACHINE = {"machine": True}
"""Metadata of a config field that cannot change the weights: free to differ on resume and on rebuild."""

LARGEST_TEXT = 2**26
"""Characters of a text that is read whole; a larger one, a pipe or a device is refused."""

IGNORE = -100
"""A target that counts nothing."""

Json = Mapping[str, Any]


class BadInput(ValueError):  # noqa: N818 - it names whose mistake it is
    """A mistake that the user can mend: the front door prints it as one line and exits with 2."""


@dataclass(kw_only=True, frozen=True)
class Document:
    """One text and where it comes from. `sha256` is of the UTF-8 bytes of `text`; `n_bytes` counts them."""

    id: str
    text: str
    source: str
    sha256: str
    n_bytes: int
    url: str = ""
    authors: tuple[str, ...] = ()
    title: str = ""
    date: str = ""
    language: str = ""
    licence: str = ""
    licence_basis: str = ""
    retrieved: str = ""
    split: str = "train"

    def is_whole(self) -> bool:
        """Whether the text is the one that `sha256` and `n_bytes` speak of."""
        data = self.text.encode()
        return len(data) == self.n_bytes and hashlib.sha256(data).hexdigest() == self.sha256

    def is_withdrawn(self) -> bool:
        """Whether the text has left the release, and only what is known of it stands there."""
        return not self.text and self.n_bytes > 0

    def metadata(self) -> dict[str, Any]:
        """Everything but the text, in an order that never changes."""
        names = sorted(set(self.__dataclass_fields__) - {"text"})
        return {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in names}


@dataclass(kw_only=True, frozen=True)
class Excluded:
    """A text that was left out, by which rule and why. `value` is what the rule measured."""

    id: str
    sha256: str
    url: str
    authors: tuple[str, ...]
    stage: str
    rule: str
    rule_version: int
    value: str
    reason: str
    n_bytes: int = 0


@dataclass(kw_only=True, frozen=True)
class Batch:
    """The sequences of one step.

    `inputs`: what the model's `hidden` takes, by name, each (B, ...); `targets`: (B, P) int64, IGNORE where nothing is
    to be predicted; `keys`: (B,) uint64, from which all randomness of a row in this step follows; `sequences`: int64,
    the sequences' numbers in the corpus, to name them when something goes wrong: (B,), or half as many as there are
    rows, where these are halves of sequences.
    """

    inputs: Mapping[str, npt.NDArray[Any]]
    targets: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    sequences: npt.NDArray[np.int64]


def canonical_json(value: Any) -> bytes:
    """`value` in the one form that RFC 8785 allows."""
    import rfc8785

    return rfc8785.dumps(value)


def text_of_row(row: Json) -> str:
    """A row in canonical form; one with numbers, dates or bytes that have none in some other, which no parser takes."""
    try:
        return canonical_json(row).decode()
    except (ValueError, RecursionError):
        return json.dumps(row, default=str, sort_keys=True, ensure_ascii=False)


def parse_canonical(text: str) -> dict[str, Any] | str:
    """The JSON object whose canonical form a text is, or why it is none."""
    try:
        value = json.loads(text)
        whole = isinstance(value, dict) and canonical_json(value).decode() == text
    except (ValueError, RecursionError):
        whole = False
    return value if whole else "not a JSON object in canonical form (RFC 8785)"


def digest_json(value: Any) -> str:
    """Sha256 of the canonical form of `value`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_rows(rows: Iterable[Any]) -> str:
    """Sha256 over the canonical forms of `rows`, each followed by a newline: a table's digest, however it is stored."""
    total = hashlib.sha256()
    for row in rows:
        total.update(canonical_json(row) + b"\n")
    return total.hexdigest()


def digest_file(path: Path) -> str:
    """Sha256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def write_atomically(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write that appears under `path` whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """`value` as JSON that a person can read."""
    with write_atomically(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def _plain(path: Path) -> Path:
    if path.exists() and not path.is_file():
        raise ValueError("not a plain file")
    return path


def read_text(path: Path) -> str:
    """The text in a plain file of at most LARGEST_TEXT characters, in UTF-8. Raises OSError or ValueError."""
    with _plain(path).open(encoding="utf-8") as file:
        text = file.read(LARGEST_TEXT + 1)
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"larger than {LARGEST_TEXT >> 20} MB")
    return text


def read_json(path: Path) -> Any:
    """The value in a JSON file; a file that is not JSON is the user's to mend."""
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read as JSON ({error})") from error


def read_rows(path: Path, longest: int = 2**24) -> Iterator[dict[str, Any]]:
    """The tables in a file of JSON lines, one at a time; a line of more than `longest` bytes is none."""
    try:
        with _plain(path).open("rb") as file:
            while line := file.readline(longest):
                yield dict(json.loads(line))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read as lines of JSON ({error})") from error


def base_of(record: Json) -> Json | None:
    """The row of a release's lineage whose weights its own began from; None if they began from a seed."""
    return next((row for row in record["lineage"] if isinstance(row, dict) and "weights" in row), None)


def count_of(number: int, noun: str) -> str:
    """ "1 text", "2 texts"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """`text` on one line, without control characters: titles and prompts come from outside."""
    return "".join(char if char.isprintable() else " " for char in text)


def printable_lines(text: str) -> str:
    """`text` with its lines and tabs; what could drive a terminal is replaced."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


@dataclass
class Tally:
    """What goes in is kept or excluded, and the sums say so."""

    seen: int = 0
    kept: int = 0
    kept_bytes: int = 0
    excluded: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """In = kept + excluded, always."""
        assert self.seen == self.kept + sum(self.excluded.values()), self
