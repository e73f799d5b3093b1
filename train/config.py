"""The rooms' configs, composed: the only file that knows Hydra and OmegaConf.

Each room keeps its dataclass beside the code that takes it; here they are registered as schemas, the values come from
configs/, and past `compose` there are only dataclasses. A mistake stops here, with the key and the nearest valid names.
"""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import AliasEvent, YAMLError

from train.batches import ObjectiveConfig, check_needs
from train.documents import DataConfig
from train.evaluate import EvaluateConfig
from train.model import CONFIGS, FAMILIES, ModelConfig
from train.optim import OptimConfig, Schedule
from train.parallel import ParallelConfig, micro_steps
from train.records import BadInput, digest_json, printable
from train.release import ReleaseConfig
from train.run import LoggerConfig, RunConfig
from train.tokens import TokenizerConfig


class NumericsName(Enum):
    """The arithmetic: `fast` gives the same bits on one class of machine with the recorded number of threads, `exact`
    on every machine."""

    fast = "fast"
    exact = "exact"


@dataclass(kw_only=True)
class NumericsConfig:
    """Which arithmetic the weights are made in."""

    name: NumericsName

    @property
    def exact(self) -> bool:
        """Whether the weights are to be the same everywhere."""
        return self.name is NumericsName.exact


@dataclass(kw_only=True)
class Config:
    """Everything that a run is told."""

    data: DataConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    objective: ObjectiveConfig
    optim: OptimConfig
    numerics: NumericsConfig
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    run: RunConfig
    evaluate: EvaluateConfig
    release: ReleaseConfig
    logger: LoggerConfig = field(default_factory=LoggerConfig)

    @property
    def precision(self) -> str:
        """What is computed in: exact arithmetic has its own, else the run's choice."""
        return "float64" if self.numerics.exact else self.run.precision

    def __post_init__(self) -> None:
        """What two rooms must agree on."""
        if self.model.vocab_size != self.tokenizer.vocab_size:
            raise BadInput(
                f"model.vocab_size={self.model.vocab_size} is not tokenizer.vocab_size={self.tokenizer.vocab_size}: "
                "set the tokenizer's, the model's follows"
            )
        if self.evaluate.stride > self.model.seq_len:
            raise BadInput(f"evaluate.stride={self.evaluate.stride}: at most model.seq_len={self.model.seq_len}")
        learns, wanted = FAMILIES[self.model.name].OBJECTIVE, self.objective.name.value
        if learns != wanted:
            raise BadInput(f"objective={wanted}: a {self.model.name} learns by {learns}; leave the objective out")
        if self.numerics.exact and self.run.precision != "auto":
            raise BadInput(f"run.precision={self.run.precision}: numerics=exact computes in float64; leave it out")
        if self.numerics.exact and self.optim.schedule is Schedule.cosine:
            raise BadInput(
                "optim.schedule=cosine: a cosine differs between machines; numerics=exact takes wsd or constant"
            )
        check_needs(self.objective, self.tokenizer, self.model.seq_len)
        micro_steps(self.optim.sequences_per_step, self.parallel.sequences_per_device)


_NAMING = {"experiment", "data", "tokenizer", "model", "objective", "optim", "numerics"}
_SCHEMAS = {
    "data": DataConfig,
    "tokenizer": TokenizerConfig,
    "objective": ObjectiveConfig,
    "optim": OptimConfig,
    "numerics": NumericsConfig,
    "parallel": ParallelConfig,
    "run": RunConfig,
    "evaluate": EvaluateConfig,
    "release": ReleaseConfig,
    "logger": LoggerConfig,
}


def config_folder() -> Path:
    """Where the YAML files lie: at the root of a checkout, or inside an installed package."""
    package = Path(__file__).resolve().parent
    beside = package.parent / "configs"
    return beside if beside.is_dir() else package / "configs"


def _sequences(tokens: int, *, _root_: Any) -> int:
    """${sequences:TOKENS} in a YAML file: as many sequences of the model's length as hold so many tokens."""
    return max(1, tokens // int(_root_.model.seq_len))


OmegaConf.register_new_resolver("sequences", _sequences)


def compose(overrides: Sequence[str]) -> Config:
    """The config that these command-line words ask for. Raises BadInput with the key and the nearest valid names."""
    _check(overrides)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for group, schema in _SCHEMAS.items():
        store.store(group=group, name="schema", node=schema)
    for family, schema in CONFIGS.items():
        store.store(group="model", name=f"{family}_schema", node=schema)
    try:
        with initialize_config_dir(version_base=None, config_dir=str(config_folder())):
            composed = hydra_compose("config", overrides=list(overrides))
        if OmegaConf.is_missing(composed.run, "name"):
            composed.run.name = _default_name(_choices(overrides))
        return _to_objects(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(_in_one_line(error)) from error


def read_config(path: Path, words: Sequence[str] = ()) -> Config:
    """The config that a release was made with, from its recipe/config.yaml, with `words` (key=value) changed in it.

    Raises BadInput if it is not one.
    """
    _check(words)
    if chosen := [word for word in words if word.partition("=")[0] in groups()]:
        raise BadInput(f"{printable(chosen[0])}: a release's choices are made; change their keys (group.key=value)")
    try:
        text = path.read_text("utf-8")
        if "${" in text:
            raise BadInput(f"{path}: refers to something outside itself (${{...}}); a release's config is resolved")
        if any(isinstance(event, AliasEvent) for event in yaml.parse(text)):
            raise BadInput(f"{path}: names a part of itself, which could blow up to any size")
        values = OmegaConf.load(path)
        family = values.model.name
        if family not in CONFIGS:
            raise BadInput(f"{path}: a model of family {printable(str(family))!r}; known are {', '.join(CONFIGS)}")
        schema = OmegaConf.structured(Config)
        schema.model = OmegaConf.structured(CONFIGS[family])
        return _to_objects(OmegaConf.merge(schema, values, OmegaConf.from_dotlist(list(words))))
    except (OmegaConfBaseException, YAMLError, AttributeError, OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not a config that can be read ({_in_one_line(error)})") from error


def _to_objects(composed: Any) -> Config:
    missing = OmegaConf.missing_keys(composed)
    if missing:
        raise BadInput(f"{', '.join(sorted(missing))}: a value is needed; give it as {sorted(missing)[0]}=...")
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return config


def _default_name(choices: dict[str, str]) -> str:
    """The experiment, and the choices that differ from it: tiny, tiny-files, ..."""
    experiment = choices.get("experiment") or "run"
    asked = [f"+experiment={experiment}"] if experiment != "run" else []
    usual = _choices([*asked, f"model={choices['model']}"]) | {"model": _choices(asked)["model"]}
    changed = [value for group, value in sorted(choices.items()) if usual.get(group) != value]
    return "-".join([experiment, *changed])


def _choices(overrides: Sequence[str]) -> dict[str, str]:
    """What is chosen from each group that shapes a release."""
    with initialize_config_dir(version_base=None, config_dir=str(config_folder())):
        composed = hydra_compose("config", overrides=list(overrides), return_hydra_config=True)
    return {group: value for group, value in composed.hydra.runtime.choices.items() if group in _NAMING}


def options(group: str) -> list[str]:
    """The choices of a group, from the files in configs/."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def groups() -> list[str]:
    """The groups that a command line may choose from."""
    return sorted(path.name for path in config_folder().iterdir() if path.is_dir())


def _check(overrides: Iterable[str]) -> None:
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


def _in_one_line(error: BaseException) -> str:
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


def resolved(config: Any, *, recipe_only: bool = False) -> dict[str, Any]:
    """The config as plain values. `recipe_only` leaves out what cannot change the weights."""
    result = {}
    for f in dataclasses.fields(config):
        if not (recipe_only and f.metadata.get("machine")):
            result[f.name] = _plain(getattr(config, f.name), recipe_only)
    return result


def _plain(value: Any, recipe_only: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return resolved(value, recipe_only=recipe_only)
    if isinstance(value, dict):
        return {key: _plain(inner, recipe_only) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, recipe_only) for inner in value]
    return value.value if isinstance(value, Enum) else value


def config_digest(config: Config) -> str:
    """The digest of the recipe: fixed for the life of a run folder."""
    return digest_json(public(resolved(config, recipe_only=True)))


def public(values: dict[str, Any]) -> dict[str, Any]:
    """The resolved config without the places of folders on this disk."""
    values = values | {"run": {key: value for key, value in values["run"].items() if key != "folder"}}
    sources = {
        name: source | {"path": Path(source["path"]).name if Path(source["path"]).exists() else source["path"]}
        for name, source in values["data"]["sources"].items()
    }
    data = {key: value for key, value in values["data"].items() if key != "cache"}
    release = {key: value for key, value in values.get("release", {}).items() if key != "sign"}
    return values | {"data": data | {"sources": sources}} | ({"release": release} if release else {})


def to_yaml(values: dict[str, Any]) -> str:
    """As YAML, for people and for a rebuild."""
    return OmegaConf.to_yaml(OmegaConf.create(values), sort_keys=True)
