"""Tensors of which this process holds a piece. A model on one device has none: each of its tensors is whole.

A parameter that is spread over processes carries its `Piece`; where FSDP2 holds it, it is a DTensor besides. What
works on elements (AdamW, momentum) takes what is here; what needs a matrix, or its digest, has it made whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


@dataclass(frozen=True)
class Piece:
    """Which part of a tensor is here. `whole`: its shape; `spans`: a slice of each dim.

    `groups`: the processes that hold the other parts, axis by axis; `first`: whether this is the one of those with the
    same part that writes it.
    """

    whole: tuple[int, ...]
    spans: tuple[slice, ...]
    groups: tuple[Any, ...] = ()
    first: bool = True


def piece_of(tensor: Tensor) -> Piece:
    """The piece that a parameter is."""
    found: Piece | None = getattr(tensor, "piece", None)
    return Piece(tuple(tensor.shape), tuple(slice(0, size) for size in tensor.shape)) if found is None else found


def local(tensor: Tensor) -> Tensor:
    """What is here of a tensor, sharing its memory, without its history."""
    here: Any = tensor.detach()
    found: Tensor = here.to_local() if _is_distributed(here) else here
    return found


def _is_distributed(tensor: Tensor) -> bool:
    """Whether it is a DTensor, whose import takes a second that a model on one device need not wait for."""
    return hasattr(tensor, "to_local")


def like(parameter: Tensor, value: Tensor) -> Tensor:
    """`value`, which is as large as what is here of `parameter`, as a tensor of its kind."""
    if not _is_distributed(parameter):
        return value
    from torch.distributed.tensor import DTensor

    assert isinstance(parameter, DTensor)
    made: Tensor = DTensor.from_local(
        value, parameter.device_mesh, parameter.placements, run_check=False, shape=parameter.shape,
        stride=parameter.stride(),
    )  # fmt: skip
    return made


def whole(piece: Piece, value: Tensor) -> Tensor:
    """The whole of which `value` is here: to be called by all that hold its pieces.

    Bits are added up as integers, zero where a process holds nothing: exact, whatever the shapes of the pieces.
    """
    if not piece.groups:
        return value
    bits = _BITS[value.element_size()]
    made = torch.zeros(piece.whole, dtype=bits, device=value.device)
    made[piece.spans] = value.contiguous().view(bits)
    for group in piece.groups:
        distributed.all_reduce(made, group=group)
    return made.view(value.dtype)


@dataclass(frozen=True)
class Held:
    """A tensor as far as it is here."""

    value: Tensor
    piece: Piece


class Spread(Mapping[str, Tensor]):
    """Tensors by name, each made whole when it is asked for; by all processes together, in one order."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self.held = held

    def __getitem__(self, name: str) -> Tensor:
        return whole(self.held[name].piece, self.held[name].value)

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def master_weights(model: nn.Module) -> Spread:
    """The parameters that are learned, each once (a tied head is its embedding), as float32: in exact arithmetic
    float64 holds them."""
    learned = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    return Spread({name: Held(local(p).float(), piece_of(p)) for name, p in learned})
