"""A folder in their format -> our model; our model -> a folder that they load. The table of names is the family's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from train.model import FAMILIES, Llama, build_model
from train.numerics import save_tensors
from train.records import BadInput, printable, read_json, write_json

_WEIGHTS = "model.safetensors"
# Fields of config.json that change what a model computes and that we do not compute: any other value is an error.
_FIXED: dict[str, Any] = {
    "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "rope_scaling": None,
    "attention_dropout": 0.0, "pretraining_tp": 1,
}  # fmt: skip


def to_hugging_face(model: Llama, folder: Path, *, token: int = 0) -> None:
    """Write config.json, generation_config.json and model.safetensors (float32). `token` begins and ends a text."""
    theirs = model.hugging_face_config(model.config) | {"bos_token_id": token, "eos_token_id": token}
    ours = model.state_dict()
    tensors = {their: ours[our].float() for our, their in _names(model)}
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, folder / _WEIGHTS)
    write_json(folder / "config.json", theirs)
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": token, "eos_token_id": token, "do_sample": True, "temperature": 0.8, "top_k": 50},
    )


def from_hugging_face(folder: Path) -> Llama:
    """The model in a folder of their format, sharded or not. Raises BadInput naming what is missing or too much."""
    theirs = read_json(folder / "config.json")
    kind = theirs.get("model_type") if isinstance(theirs, dict) else None
    if kind not in FAMILIES:
        raise BadInput(f"{folder}: a model of type {printable(str(kind))!r}; known are {', '.join(FAMILIES)}")
    for name, value in _FIXED.items():
        if theirs.get(name, value) not in (value, None):
            raise BadInput(f"{folder}/config.json: {name}={printable(str(theirs[name]))} is not supported")
    rope = theirs.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        raise BadInput(f"{folder}/config.json: rope_type={printable(str(rope['rope_type']))} is not supported")
    try:
        model = build_model(FAMILIES[kind].from_hugging_face_config(theirs))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder}/config.json: cannot be read as a {kind} ({error!r})") from error
    _load(model, _read(folder), folder)
    return model


def _names(model: Llama) -> Iterator[tuple[str, str]]:
    """(our name, their name) of every tensor that is stored."""
    for ours, theirs in model.HUGGING_FACE_NAMES:
        if ours == "head.weight" and model.config.tie_embeddings:
            continue
        if "{i}" not in ours:
            yield ours, theirs
        else:
            yield from ((ours.format(i=i), theirs.format(i=i)) for i in range(model.config.n_layers))


def _weight_map(index: Path) -> dict[str, str]:
    value = read_json(index)
    found = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise BadInput(f"{index}: holds no weight_map")
    return found


def _read(folder: Path) -> dict[str, Tensor]:
    index = folder / f"{_WEIGHTS}.index.json"
    files = sorted(set(_weight_map(index).values())) if index.is_file() else [_WEIGHTS]
    tensors: dict[str, Tensor] = {}
    for name in files:
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BadInput(f"{folder}: there is no {printable(name)} in it")
        try:
            tensors |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{path}: not a safetensors file that can be read ({error})") from error
    return tensors


def _load(model: Llama, tensors: dict[str, Tensor], folder: Path) -> None:
    names = dict(_names(model))
    missing, extra = set(names.values()) - set(tensors), set(tensors) - set(names.values())
    if model.config.tie_embeddings:
        extra.discard("lm_head.weight")
    if missing or extra:
        raise BadInput(f"{folder}: missing tensors {sorted(missing)[:3]}, unknown tensors {sorted(extra)[:3]}")
    parameters = model.state_dict()
    with torch.no_grad():
        for ours, theirs in names.items():
            if parameters[ours].shape != tensors[theirs].shape:
                raise BadInput(
                    f"{folder}: {theirs} has shape {list(tensors[theirs].shape)}, "
                    f"config.json asks for {list(parameters[ours].shape)}"
                )
            parameters[ours].copy_(tensors[theirs])
