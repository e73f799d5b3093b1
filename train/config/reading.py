"""Command-line words, or a release's own config, become dataclasses."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import AliasEvent, YAMLError

from train.batches import ObjectiveConfig, ObjectiveName, spans_of
from train.config.base import on_base
from train.config.choices import config_folder, groups
from train.config.mistakes import check_words, in_one_line
from train.config.schema import Config, NumericsConfig
from train.documents import DataConfig
from train.evaluate import EvaluateConfig
from train.model import CONFIGS
from train.optim import OptimConfig
from train.parallel import ParallelConfig
from train.records import BadInput, printable, read_text
from train.release import ReleaseConfig
from train.run import LoggerConfig, RunConfig
from train.tokens import TokenizerConfig
from train.tune import TuneName, open_base

_NAMING = {"experiment", "data", "tokenizer", "model", "objective", "optim", "numerics", "tune"}
_OWN_KEYS = re.compile(r"data\.sources\.\w+\.(fields|where|licence_names)\.")
_FROM_BASE = {"model", "tokenizer", "objective"}
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


def _sequences(tokens: int, *, _root_: Any) -> int:
    """${sequences:TOKENS} in a YAML file: as many sequences of the model's length as hold so many tokens."""
    return max(1, tokens // int(_root_.model.seq_len))


def _times(factor: float, size: int) -> int:
    """${times:4,${.d_model}} in a YAML file: what grows with the width."""
    return int(factor * size)


def _masked(filled: float, said: float, *, _root_: Any) -> float:
    """${masked:A,B} in a YAML file: A where hidden tokens are filled in (BERT), B where the model says them."""
    return filled if _root_.objective.name is ObjectiveName.masked else said


def _halves(share: float, *, _root_: Any) -> float:
    """${halves:SHARE} in a YAML file: SHARE where sequences can be read in halves (schema.py), 0 elsewhere."""
    causal, tuned = _root_.objective.name is ObjectiveName.causal, _root_.tune.name is not TuneName.none
    return share if causal and not tuned and _root_.model.seq_len % 2 == 0 else 0.0


def _gated(size: int, plain: int, *, _root_: Any) -> int:
    """${gated:A,B} in a YAML file: A for the gated MLP of a Llama, B for the others'."""
    return size if _root_.model.name == "llama" else plain


def _spans(least: int, *, _root_: Any) -> int:
    """${spans:N} in a YAML file: as many as are taken out of a sequence (T5), and N at least."""
    objective, size = _root_.objective, _root_.model.seq_len
    corrupted = objective.name is ObjectiveName.span_corruption and size > 1
    return max(least, spans_of(objective, size)[1]) if corrupted else least


OmegaConf.register_new_resolver("masked", _masked)
OmegaConf.register_new_resolver("gated", _gated)
OmegaConf.register_new_resolver("spans", _spans)
OmegaConf.register_new_resolver("halves", _halves)
OmegaConf.register_new_resolver("sequences", _sequences)
OmegaConf.register_new_resolver("times", _times)


def compose(overrides: Sequence[str]) -> Config:
    """The config that these command-line words ask for. Raises BadInput with the key and the nearest valid names."""
    overrides = _in_order(overrides)
    check_words(overrides)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for group, schema in _SCHEMAS.items():
        store.store(group=group, name="schema", node=schema)
    for family, schema in CONFIGS.items():
        store.store(group="model", name=f"{family}_schema", node=schema)
    try:
        composed, choices = _composed(overrides)
        if OmegaConf.is_missing(composed.run, "name"):
            composed.run.name = _default_name(choices, overrides)
        config = _to_objects(composed)
        if config.tune.on:
            base = open_base(Path(config.tune.base))
            composed.model.seq_len = base.config.seq_len  # ${sequences:...}: of its length, not of the usual model's
            config = on_base(_to_objects(composed), base)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(in_one_line(error)) from error
    return config


def _for_hydra(words: Sequence[str]) -> list[str]:
    """As Hydra is told: what comes last in the list of defaults prevails, and an experiment is added to that list; a
    table whose keys are the user's takes new ones."""
    return [
        f"+{word}" if word.startswith("tune=") else f"++{word}" if _OWN_KEYS.match(word) else word for word in words
    ]


def _in_order(overrides: Sequence[str]) -> list[str]:
    """How to tune is put last, so that it holds whatever the experiment says; `from`, a word of Python's, is `base`.

    Raises BadInput for a model where one is tuned.
    """
    words = [f"tune.base={word[10:]}" if word.startswith("tune.from=") else word for word in overrides]
    ways = [word for word in words if word.partition("=")[0] == "tune"]
    rest = [word for word in words if word not in ways]
    if ways[-1:] not in ([], ["tune=none"]):
        for word in rest:
            if word.lstrip("+~").partition("=")[0].partition(".")[0] in _FROM_BASE:
                raise BadInput(f"{printable(word)}: what is tuned has a model and a tokenizer already (tune.from)")
    return [*rest, *(ways[-1:] or ["tune=none"])]


def read_config(path: Path, words: Sequence[str] = ()) -> Config:
    """The config that a release was made with, from its recipe/config.yaml, with `words` (key=value) changed in it.

    Raises BadInput if it is not one.
    """
    words = [f"tune.base={word[10:]}" if word.startswith("tune.from=") else word for word in words]
    check_words(words)
    if chosen := [word for word in words if word.partition("=")[0] in groups()]:
        raise BadInput(f"{printable(chosen[0])}: a release's choices are made; change their keys (group.key=value)")
    try:
        text = read_text(path)
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
        raise BadInput(f"{path}: not a config that can be read ({in_one_line(error)})") from error


def _to_objects(composed: Any) -> Config:
    missing = OmegaConf.missing_keys(composed)
    if missing:
        raise BadInput(f"{', '.join(sorted(missing))}: a value is needed; give it as {sorted(missing)[0]}=...")
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return config


def _default_name(choices: dict[str, str], words: Sequence[str]) -> str:
    """The experiment, and the choices in the words that differ from it: tiny, tiny-files, ..."""
    experiment = choices.get("experiment") or "run"
    asked = [f"+experiment={experiment}"] if experiment != "run" else []
    if not {word.partition("=")[0] for word in words if word != "tune=none"} & _NAMING:
        return experiment
    chosen = _composed([*asked, f"model={choices['model']}", f"tune={choices['tune']}"])[1]
    usual = chosen | {"model": _composed(asked)[1]["model"], "tune": "none"}
    changed = [value for group, value in sorted(choices.items()) if usual.get(group) != value]
    return "-".join([experiment, *changed])


def _composed(overrides: Sequence[str]) -> tuple[Any, dict[str, str]]:
    """What Hydra makes of the words, and what is chosen from each group that shapes a release."""
    with initialize_config_dir(version_base=None, config_dir=str(config_folder())):
        composed = hydra_compose("config", overrides=_for_hydra(overrides), return_hydra_config=True)
    chosen = dict(composed.hydra.runtime.choices)
    with open_dict(composed):
        del composed["hydra"]
    return composed, {group: value for group, value in chosen.items() if group in _NAMING}
