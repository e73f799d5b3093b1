"""The context axis: each process takes a part of every sequence, and has the keys and values before it sent.

A decoder sees earlier tokens through its cache. Here the cache is filled by the other processes: it holds the keys and
values of all parts up to this one, and their gradients go back to where they came from. The model cannot tell. Exact,
at the price of keys and values of the whole sequence in one layer at a time, and of uneven work: the last part looks
at everything.
"""

from typing import Any

import torch
from torch import Tensor, distributed

from train.model import Attention, Cache, Decoder, Dropout, LanguageModel, LayerCache
from train.parallel.mesh import Mesh
from train.parallel.places import number_elements
from train.records import BadInput

_REASONS = {
    "bert": "all its tokens see all others, and its blocks keep no keys",
    "t5": "its two texts are of other lengths, and their distances are biases of all scores",
    "xlnet": "its tokens see one another in random orders, in two streams",
}


class _Gather(torch.autograd.Function):
    """(B, K, T, E) of one part -> (B, K, S, E), all parts up to this one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mesh: Mesh) -> Tensor:
        ctx.mesh = mesh
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(mesh.sizes["context"])]
        distributed.all_gather(parts, x.contiguous(), group=mesh.group("context"))
        return torch.cat(parts[: mesh.number("context") + 1], 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Everyone's gradients of everyone's part; each takes the sum of its own."""
        count, number = ctx.mesh.sizes["context"], ctx.mesh.number("context")
        length = grad.shape[2] // (number + 1)
        summed = grad.new_zeros(*grad.shape[:2], length * count, grad.shape[3])
        summed[:, :, : grad.shape[2]] = grad
        distributed.all_reduce(summed, group=ctx.mesh.group("context"))
        return summed[:, :, number * length : (number + 1) * length].contiguous(), None


class _LayerBefore(LayerCache):
    """One layer's keys and values, up to this process's part."""

    def __init__(self, mesh: Mesh) -> None:
        super().__init__()
        self._mesh = mesh

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The other parts' before these."""
        return _Gather.apply(keys, self._mesh), _Gather.apply(values, self._mesh)  # type: ignore[no-untyped-call]


class Before(Cache):
    """What comes before this process's part of each sequence; the part begins at place `start`."""

    def __init__(self, n_layers: int, mesh: Mesh, start: int) -> None:
        super().__init__(0)
        self.layers, self._start = [_LayerBefore(mesh) for _ in range(n_layers)], start

    @property
    def length(self) -> int:
        """How many places come before."""
        return self._start


def cut_batch(inputs: dict[str, Any], model: LanguageModel, mesh: Mesh) -> dict[str, Any]:
    """What the model's `hidden` takes, and the targets, for this process's part of the sequences."""
    part = mesh.part(inputs["tokens"].shape[1])
    cut = {name: inputs[name][:, part] for name in ("tokens", "targets")}
    if "documents" in inputs:
        cut["documents"] = inputs["documents"][:, : part.stop]
    return {**inputs, **cut, "cache": Before(model.config.n_layers, mesh, part.start)}


def check_context(model: LanguageModel) -> None:
    """Raises BadInput for a model that cannot be cut along the text."""
    if not isinstance(model, Decoder):
        raise BadInput(
            f"parallel.context: a {model.config.name} cannot be cut along the text: {_REASONS[model.config.name]}"
        )


def cut_context(model: LanguageModel, mesh: Mesh) -> None:
    """Tell the model's dropouts which part they meet."""
    cut = (mesh.number("context"), mesh.sizes["context"])
    of_scores = {id(module.dropout) for module in model.modules() if isinstance(module, Attention)}
    for module in model.modules():
        if isinstance(module, Dropout):
            scores = id(module) in of_scores
            number_elements(module, {1 if scores else 0: cut}, seen=scores)
