"""Checkpoints: a folder of safetensors and one JSON, complete or absent.

    checkpoints/step-000100/model.safetensors  optimizer.safetensors  state.json

It is written under another name, synced and renamed. On start the newest one whose digests hold is taken; one that
does not hold (cut short by a full disk, say) is passed over with a line that says so. Nothing is unpickled.

Several processes write their pieces into the same files and read theirs from them: a checkpoint does not know how many
there were, any other number goes on from it, and a release publishes it as it is.
"""

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from train.numerics import (
    Held,
    Piece,
    Spread,
    TensorFile,
    begin_file,
    check_pieces,
    digest_tensors,
    like,
    local,
    master_weights,
    piece_of,
    write_pieces,
)
from train.optim import state_entries
from train.parallel import Replicas
from train.records import BadInput, printable, read_json, write_json

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


def optimizer_tensors(model: nn.Module, optimizers: Optimizers) -> Spread:
    """All state of the optimizers by name: "muon/blocks.0.mlp.up.weight/momentum"."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return Spread(
        {
            f"{kind}/{names[parameter]}/{key}": Held(local(value), _piece_of_state(parameter, value))
            for kind, optimizer in optimizers.items()
            for parameter, state in optimizer.state.items()
            for key, value in state.items()
        }
    )


def _piece_of_state(parameter: Tensor, value: Tensor) -> Piece:
    """A parameter's own, but for what counts its steps."""
    piece = piece_of(parameter)
    return piece if value.ndim else Piece((), (), (), piece.first)


def checkpoint_tensors(model: nn.Module, optimizers: Optimizers) -> dict[str, Spread]:
    """What a checkpoint holds, by file."""
    return {"model.safetensors": master_weights(model), "optimizer.safetensors": optimizer_tensors(model, optimizers)}


def save_checkpoint(
    folder: Path, step: int, files: Mapping[str, Spread], state: Callable[[str, str], State],
    replicas: Replicas | None = None,
) -> Path:  # fmt: skip
    """Write one checkpoint, each process its pieces of the same files; returns its folder.

    `state` makes its State from the digests of the weights and of the optimizer's state. Raises OSError if the disk is
    full, in one process or in another, and then leaves nothing behind.
    """
    replicas = replicas or Replicas()
    final = checkpoint_of(folder, step)
    temporary = folder / f".{final.name}.tmp"
    try:
        with replicas.aside():
            if replicas.first:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
                for name, tensors in files.items():
                    begin_file(temporary / name, tensors)
        with replicas.aside():
            for name, tensors in files.items():
                write_pieces(temporary / name, tensors)
        if replicas.count > 1:
            with replicas.aside():
                for name, tensors in files.items():
                    check_pieces(temporary / name, tensors)
        if replicas.first:
            digests = [_digest(temporary / name, tensors, replicas) for name, tensors in files.items()]
            write_json(temporary / "state.json", asdict(state(*digests)))
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
            _sync(folder)
    except BaseException:
        if replicas.first:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def _digest(path: Path, tensors: Spread, replicas: Replicas) -> str:
    """Of what was to be written; where no process has it whole, of the file, in which all have found theirs."""
    return digest_tensors(tensors if replicas.count == 1 else TensorFile(path))


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Bring what is here of a checkpoint's weights into `model`. Raises BadInput if they are not whole or are another
    model's."""
    tensors = TensorFile(checkpoint / "model.safetensors")
    own = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if set(tensors) != set(own):
        raise BadInput(f"{checkpoint}: its tensors are another model's")
    for name, parameter in own.items():
        local(parameter).copy_(tensors.read(name, piece_of(parameter)))


def load_checkpoint(checkpoint: Path, model: nn.Module, optimizers: Optimizers) -> None:
    """Bring back what is here of the weights and the optimizers' state, on whatever number of processes they were
    made. Raises BadInput if anything else is in them: torch writes where a state's shape says, and asks nothing."""
    load_weights(model, checkpoint)
    tensors = TensorFile(checkpoint / "optimizer.safetensors")
    names = {parameter: name for name, parameter in model.named_parameters()}
    left = set(tensors)
    for kind, optimizer in optimizers.items():
        for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
            keys = {entry: f"{kind}/{names[parameter]}/{entry}" for entry in state_entries(optimizer)}
            if left.isdisjoint(keys.values()):
                continue  # it had no gradient yet
            optimizer.state[parameter] = _state(tensors, keys, parameter, state_entries(optimizer))
            left.difference_update(keys.values())
    if left:
        raise BadInput(f"{checkpoint}: {printable(min(left))[:80]} is no state of this model's optimizers")


def _state(
    tensors: TensorFile, keys: Mapping[str, str], parameter: Tensor, dtypes: Mapping[str, torch.dtype]
) -> dict[str, Tensor]:
    """What is here of an optimizer's state of one parameter."""
    found = {}
    for entry, key in keys.items():
        counts = entry == "step"
        value = tensors.read(key, Piece((), ()) if counts else piece_of(parameter))
        if value.dtype is not dtypes[entry]:
            raise BadInput(f"{printable(key)[:80]}: its numbers are {value.dtype}, and not {dtypes[entry]}")
        value = value.to(parameter.device)
        found[entry] = value if counts else like(parameter, value)
    return found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoint_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step stands."""
    return folder / f"step-{step:06d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    return sorted((path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)), key=_step_of)


def _step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("step-"))


def forget_checkpoints(folder: Path, keep: Collection[int]) -> None:
    """Delete the checkpoints of all steps but these; one that is half deleted is none any more."""
    for path in list_checkpoints(folder):
        if _step_of(path) not in keep:
            shutil.rmtree(path.rename(path.with_name(f".{path.name}.tmp")))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; one that cannot be read is the user's to mend."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{path}: not a safetensors file that can be read ({error})") from error
    return tensors


def find_newest(folder: Path, model: nn.Module, config_digest: str) -> Iterator[State | str]:
    """The newest checkpoint that holds. Yields a line for each that does not, then the State, if any."""
    for path in reversed(list_checkpoints(folder)):
        try:
            state = State(**read_json(path / "state.json"))
        except (BadInput, TypeError) as error:
            yield f"passed over a damaged checkpoint: {path}: {error}"
            continue
        if state.config_digest != config_digest:
            raise BadInput(f"{path}: made by another config; choose another run.name, or delete the run's folder")
        try:
            weights, optimizer = (TensorFile(path / name) for name in ("model.safetensors", "optimizer.safetensors"))
            if (digest_tensors(weights), digest_tensors(optimizer)) != (state.weights_digest, state.optimizer_digest):
                raise BadInput(f"{path}: its tensors are not those that were saved")
            shapes = {name: piece_of(p).whole for name, p in model.named_parameters() if p.requires_grad}
            if {name: weights.shape(name) for name in weights} != shapes:
                raise BadInput(f"{path}: its tensors are another model's")
        except BadInput as error:
            yield f"passed over a damaged checkpoint: {error}"
            continue
        yield state
        return
