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
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from train.numerics import digest_tensors
from train.records import BadInput, read_json, write_json

_NAME = re.compile(r"step-(\d{6,})")


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
        optimizers[kind].state[parameters[name]][entry] = value


def save_checkpoint(folder: Path, state: State, model: nn.Module, optimizers: Optimizers) -> Path:
    """Write one checkpoint; returns its folder. Raises OSError if the disk is full, and then leaves nothing behind."""
    final = folder / f"step-{state.step:06d}"
    temporary = folder / f".{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _save(model.state_dict(), temporary / "model.safetensors")
        _save(optimizer_tensors(model, optimizers), temporary / "optimizer.safetensors")
        write_json(temporary / "state.json", asdict(state))
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        _sync(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:  # its way to say that the disk is full
        raise OSError(str(error)) from error
    _sync(path)


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
            tensors = read_tensors(path / "model.safetensors")
            optimizer = read_tensors(path / "optimizer.safetensors")
            if (digest_tensors(tensors), digest_tensors(optimizer)) != (state.weights_digest, state.optimizer_digest):
                raise BadInput(f"{path}: its tensors are not those that were saved")
        except (BadInput, TypeError) as error:
            yield f"passed over a damaged checkpoint: {error}"
            continue
        if state.config_digest != config_digest:
            raise BadInput(f"{path}: made by another config; choose another run.name, or delete the run's folder")
        model.load_state_dict(tensors)
        _load_optimizers(model, optimizers, optimizer)
        yield state
        return
