"""Checkpoints: a folder of safetensors and one JSON, complete or absent.

    checkpoints/step-000100/model.safetensors  optimizer.safetensors  state.json

It is written under another name, synced and renamed. On start the newest one whose digests hold is taken; one that
does not hold (cut short by a full disk, say) is passed over with a line that says so. Nothing is unpickled.
"""

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from train.numerics import digest_tensors, save_tensors
from train.records import BadInput, read_json, write_json

_NAME = re.compile(r"step-(\d{6,})")
CHECKPOINT_FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


@dataclass(kw_only=True, frozen=True)
class State:
    """Where a run stands. `chain` is the digest of all weights published so far (training/chain.jsonl)."""

    step: int
    tokens_seen: int
    config_digest: str
    chain: str
    weights_digest: str
    optimizer_digest: str
    seconds: float


Optimizers = Mapping[str, torch.optim.Optimizer]


def optimizer_tensors(model: nn.Module, optimizers: Optimizers) -> dict[str, Tensor]:
    """All state of the optimizers by name: "muon/blocks.0.mlp.up.weight/momentum"."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{kind}/{names[parameter]}/{key}": value
        for kind, optimizer in optimizers.items()
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def _load_optimizers(model: nn.Module, optimizers: Optimizers, tensors: Mapping[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        kind, name, entry = key.split("/")
        optimizers[kind].state[parameters[name]][entry] = value.to(parameters[name].device)


def save_checkpoint(folder: Path, state: State, model: nn.Module, optimizers: Optimizers) -> Path:
    """Write one checkpoint; returns its folder. Raises OSError if the disk is full, and then leaves nothing behind."""
    final = folder / f"step-{state.step:06d}"
    temporary = folder / f".{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        save_tensors(master_weights(model), temporary / "model.safetensors")
        save_tensors(optimizer_tensors(model, optimizers), temporary / "optimizer.safetensors")
        write_json(temporary / "state.json", asdict(state))
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        _sync(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def master_weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters, each once (a tied head is its embedding), as float32: in exact arithmetic float64 holds them."""
    return {name: parameter.detach().float() for name, parameter in model.named_parameters()}


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Bring a checkpoint's weights into `model`. Raises BadInput if they are not whole or are another model's."""
    _into(model, read_tensors(checkpoint / "model.safetensors"), checkpoint)


def _into(model: nn.Module, tensors: Mapping[str, Tensor], checkpoint: Path) -> None:
    own = dict(model.named_parameters())
    if {name: t.shape for name, t in tensors.items()} != {name: p.shape for name, p in own.items()}:
        raise BadInput(f"{checkpoint}: its tensors are another model's")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted((path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)), key=_step_of)


def _step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("step-"))


def forget_checkpoints(folder: Path, keep: Collection[int]) -> None:
    """Delete the checkpoints of all steps but these."""
    for path in list_checkpoints(folder):
        if _step_of(path) not in keep:
            shutil.rmtree(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; one that cannot be read is the user's to mend."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path}: not a safetensors file that can be read ({error})") from error
    return tensors


def load_newest(folder: Path, model: nn.Module, optimizers: Optimizers, config_digest: str) -> Iterator[State | str]:
    """Bring back the newest checkpoint that holds. Yields a line for each that does not, then the State, if any."""
    for path in reversed(list_checkpoints(folder)):
        try:
            state = State(**read_json(path / "state.json"))
        except (BadInput, TypeError) as error:
            yield f"passed over a damaged checkpoint: {path}: {error}"
            continue
        if state.config_digest != config_digest:
            raise BadInput(f"{path}: made by another config; choose another run.name, or delete the run's folder")
        try:
            weights, optimizer = (read_tensors(path / name) for name in ("model.safetensors", "optimizer.safetensors"))
            if (digest_tensors(weights), digest_tensors(optimizer)) != (state.weights_digest, state.optimizer_digest):
                raise BadInput(f"{path}: its tensors are not those that were saved")
            _into(model, weights, path)
        except BadInput as error:
            yield f"passed over a damaged checkpoint: {error}"
            continue
        _load_optimizers(model, optimizers, optimizer)
        yield state
        return
