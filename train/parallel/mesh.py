"""The processes of a training as a grid with an axis for each way of sharing, and the sums along its axes."""

from collections.abc import Iterable
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor, distributed, nn

from train.numerics import local, piece_of
from train.parallel.configs import AXES, Plan
from train.records import BadInput

ALONE = Plan(dict.fromkeys(AXES, 1), "there is one process")


class Mesh:
    """Where this process stands along each axis. Alone it costs nothing.

    Processes that differ in `replicate` or `shard` take other sequences, in `context` other parts of each; those that
    differ in `tensor` take the same.
    """

    def __init__(self, plan: Plan = ALONE, device: str = "cpu") -> None:
        self.plan, self.sizes = plan, dict(plan.sizes)
        self.count = prod(self.sizes.values())
        self._device = device
        if self.count > 1:
            self._copies  # made at once, for all processes must make it  # noqa: B018

    @property
    def splits(self) -> bool:
        """Whether no process has the whole model."""
        return self.sizes["shard"] * self.sizes["tensor"] > 1

    @cached_property
    def grid(self) -> Any:
        """torch's DeviceMesh."""
        from torch.distributed.device_mesh import init_device_mesh

        return init_device_mesh(self._device, tuple(self.sizes[axis] for axis in AXES), mesh_dim_names=AXES)

    @cached_property
    def _copies(self) -> Any:
        """Those that hold the same pieces of the weights, and whose gradients are to be added up."""
        return self.grid["replicate", "context"]._flatten("copies").get_group()

    def group(self, axis: str) -> Any:
        """The processes that differ from this one along `axis` alone."""
        return self.grid[axis].get_group()

    def number(self, axis: str) -> int:
        """Which of them this one is."""
        return int(self.grid.get_local_rank(axis)) if self.count > 1 else 0

    def share(self, size: int) -> slice:
        """Which of `size` sequences are this process's."""
        shares = self.sizes["replicate"] * self.sizes["shard"]
        assert size % shares == 0, self.plan
        number = self.number("replicate") * self.sizes["shard"] + self.number("shard")
        return slice(number * (size // shares), (number + 1) * (size // shares))

    def part(self, length: int) -> slice:
        """Which of a sequence's `length` places are this process's."""
        count = self.sizes["context"]
        check_length(length, count)
        start = self.number("context") * (length // count)
        return slice(start, start + length // count)

    def add_up(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        """The loss and the gradients become the sums over all sequences; FSDP2 has added up along `shard`."""
        if self.count == 1:
            return
        distributed.all_reduce(loss, group=self.group("shard"))
        for tensor in (loss, *(local(p.grad) for p in parameters if p.grad is not None)):
            if tensor.numel():
                distributed.all_reduce(tensor, group=self._copies)


def check_length(length: int, parts: int) -> None:
    """Raises BadInput if a sequence of so many tokens has no such parts."""
    if length % parts:
        raise BadInput(f"parallel.context={parts}: a sequence of {length} tokens cannot be shared out evenly")


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale all gradients so that their norm is at most `limit`; returns the norm before, a float32 scalar.

    The norm is that of the whole: squares of pieces are added up along the axes over which these are spread.
    """
    by_groups: dict[tuple[Any, ...], list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_groups.setdefault(piece_of(parameter).groups, []).append(local(parameter.grad))
    norms = []
    for groups, gradients in by_groups.items():
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if groups:
            norm.square_()
            for group in groups:
                distributed.all_reduce(norm, group=group)
            norm.sqrt_()
        norms.append(norm)
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms)) if len(norms) > 1 else norms[0]
    scale = torch.clamp(limit / (total + 1e-6), max=1.0)
    if not scale.is_cuda and scale == 1:  # on a GPU it is quicker to multiply than to ask
        return total
    for gradients in by_groups.values():
        torch._foreach_mul_(gradients, scale)
    return total
