"""A folder in their format -> our model; our model -> a folder that they load. The names are the families'."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from train.model import FAMILIES, Fields, Labeller, LanguageModel, ModelConfig, Stored, build_model, purpose_of
from train.numerics import save_tensors
from train.records import BadInput, printable, read_json, write_json

_WEIGHTS = "model.safetensors"


def to_hugging_face(model: LanguageModel, folder: Path, special: Mapping[str, int] | None = None) -> None:
    """Write config.json, generation_config.json and model.safetensors (float32).

    `special`: the numbers of the tokenizer's special tokens, {"bos_token_id": 0, ...}.
    """
    ours, numbers = model.state_dict(), dict(special or {})
    tensors = {row.theirs: row.join([ours[name].float() for name in row.ours]).contiguous() for row in model.stored()}
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, folder / _WEIGHTS)
    kind = {"architectures": [model.ARCHITECTURE], "model_type": model.config.name, "dtype": "float32"}
    write_json(folder / "config.json", model.about() | kind | numbers)
    usual = {"do_sample": True, "temperature": 0.8, "top_k": 50}
    write_json(folder / "generation_config.json", {**usual, **numbers})


def read_model_config(folder: Path) -> ModelConfig:
    """Our config of the model in a folder of their format. Raises BadInput for a family or a field unknown here."""
    theirs = read_json(folder / "config.json")
    kind = theirs.get("model_type") if isinstance(theirs, dict) else None
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise BadInput(f"{folder}: a model of type {printable(str(kind))!r}; known are {', '.join(FAMILIES)}")
    try:
        fields = Fields(theirs)
        config: ModelConfig = FAMILIES[kind].from_theirs(fields)
        fields.finish()
    except BadInput as error:
        raise BadInput(f"{folder}/config.json: {str(error).splitlines()[0]}") from error
    return config


def from_hugging_face(folder: Path) -> LanguageModel:
    """The model in a folder of their format, sharded or not. Raises BadInput naming what is missing or too much."""
    config: Any = read_model_config(folder)
    read: Any = read_json(folder / "config.json")
    tensors = _read(folder)
    try:
        if config.n_layers > len(tensors) or getattr(config, "n_decoder_layers", 0) > len(tensors):
            raise BadInput("asks for more layers than there are tensors")
        with torch.device("meta"):  # shapes alone: a config from outside must not decide how much memory is taken
            shapes = _build(config, read)
    except (BadInput, RuntimeError) as error:
        raise BadInput(f"{folder}/config.json: {str(error).splitlines()[0]}") from error
    rows = list(shapes.stored())
    tensors = _without_copies(shapes.named_as_now(tensors), rows, shapes.COPIES, folder)
    _check_shapes(shapes, rows, tensors, folder)
    model = _build(config, read)
    parameters = model.state_dict()
    with torch.no_grad():
        for row in rows:
            for name, part in zip(row.ours, row.split(tensors[row.theirs]), strict=True):
                parameters[name].copy_(part)
    return model


def _build(config: ModelConfig, read: Mapping[str, Any]) -> LanguageModel:
    """A model of that shape, with the head that their config names."""
    model, found = build_model(config), purpose_of(read)
    return model if found is None else Labeller(model, *found)


def _without_copies(
    tensors: dict[str, Tensor], rows: list[Stored], copies: Mapping[str, str], folder: Path
) -> dict[str, Tensor]:
    """A tied tensor may be stored under a second name as well, if both are the same; the copy is taken out."""
    stored = {row.theirs for row in rows}
    found = {copy: name for copy, name in copies.items() if copy in tensors and copy not in stored and name in tensors}
    for copy, name in found.items():
        if not torch.equal(tensors[copy], tensors[name]):
            raise BadInput(f"{folder}: {copy} is not {name}, though this model has one tensor for both")
    return {name: tensor for name, tensor in tensors.items() if name not in found}


def _check_shapes(model: LanguageModel, rows: list[Stored], tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Raises BadInput unless the tensors are those of `model`."""
    parameters = model.state_dict()
    expected = {row.theirs: list(row.join([parameters[name] for name in row.ours]).shape) for row in rows}
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        named = [printable(name) for name in extra[:3]]
        raise BadInput(f"{folder}: missing tensors {missing[:3]}, unknown tensors {named}")
    for name, shape in expected.items():
        if list(tensors[name].shape) != shape:
            raise BadInput(f"{folder}: {name} has shape {list(tensors[name].shape)}, config.json asks for {shape}")


def _weight_map(index: Path) -> dict[str, str]:
    value = read_json(index)
    found = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise BadInput(f"{index}: holds no weight_map")
    return found


def _read(folder: Path) -> dict[str, Tensor]:
    index = folder / f"{_WEIGHTS}.index.json"
    places = _weight_map(index) if index.is_file() else {}
    files = sorted(set(places.values())) or [_WEIGHTS]
    tensors: dict[str, Tensor] = {}
    for name in files:
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BadInput(f"{folder}: there is no {printable(name)} in it")
        try:
            found = load_file(path)
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{path}: not a safetensors file that can be read ({error})") from error
        if places and set(found) != {key for key, place in places.items() if place == name}:
            raise BadInput(f"{path}: holds other tensors than {index.name} says")
        for key, tensor in found.items():
            if key in tensors or not tensor.is_floating_point():
                wrong = "stands in two files" if key in tensors else f"is of type {tensor.dtype}, not a float"
                raise BadInput(f"{path}: {printable(key)} {wrong}")
        tensors |= found
    return tensors
