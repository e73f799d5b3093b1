"""A config as plain values: whole, without what cannot change the weights, or fit to be published."""

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from train.config.schema import Config
from train.records import digest_json


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


def published_digest(config: Config, path: Path) -> str:
    """The digest of a release's recipe as it was published: `config` was read from its recipe/config.yaml, and only the
    fields that stand there count, not those that the program has come to know since."""
    stated = OmegaConf.to_container(OmegaConf.load(path))
    return digest_json(_within(public(resolved(config, recipe_only=True)), stated))


def _within(values: Any, stated: Any) -> Any:
    if isinstance(values, dict) and isinstance(stated, dict):
        return {key: _within(value, stated[key]) for key, value in values.items() if key in stated}
    return values


def public(values: dict[str, Any]) -> dict[str, Any]:
    """The resolved config without the places of folders on this disk, and without `tune` where nothing is tuned."""
    values = values | {"run": {key: value for key, value in values["run"].items() if key != "folder"}}
    sources = {
        name: source | {"path": _name(source["path"]) if Path(source["path"]).exists() else source["path"]}
        for name, source in values["data"]["sources"].items()
    }
    data = {key: value for key, value in values["data"].items() if key != "cache"}
    release = {key: value for key, value in values.get("release", {}).items() if key != "sign"}
    values = values | {"data": data | {"sources": sources}} | ({"release": release} if release else {})
    if tasks := values.get("evaluate", {}).get("tasks"):
        shown = [_name(task) if task.endswith(".yaml") else task for task in tasks]
        values = values | {"evaluate": values["evaluate"] | {"tasks": shown}}
    if values["tune"]["name"] == "none":
        return {key: value for key, value in values.items() if key != "tune"}
    base = {"base": Path(values["tune"]["base"]).name} if "base" in values["tune"] else {}
    return values | {"tune": values["tune"] | base}


def _name(path: str) -> str:
    """A file's or folder's own name; where it stands for another, as `.` and `..` do, that one's."""
    name = Path(path).name
    return name if name not in {"", ".."} else Path(path).resolve().name or "texts"


def to_yaml(values: dict[str, Any]) -> str:
    """As YAML, for people and for a rebuild."""
    return OmegaConf.to_yaml(OmegaConf.create(values), sort_keys=True)
