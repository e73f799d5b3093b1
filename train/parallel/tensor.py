"""The tensor axis: every product of a block is shared out, its heads and its inner width (Shoeybi et al., "Megatron",
2019, section 3). What comes in and goes out of a block is whole in every process; embedding, norms and head are too.

One table says it, by part and not by family: a linear map into a part is cut by its outputs, one out of it by its
inputs, so that nothing need be sent between the two.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import _functional_collectives as collectives
from torch.nn import functional

from train.model import MLP, Alibi, Attention, Dropout, GatedMLP, LanguageModel, RelativeAttention, RelativeBias
from train.numerics import Piece
from train.parallel.mesh import Mesh
from train.parallel.places import number_elements
from train.records import BadInput

# Linear maps cut by their outputs, those cut by their inputs, and on which dim of a sample dropout meets the cut.
PARTS: dict[type[nn.Module], tuple[tuple[str, ...], tuple[str, ...], int]] = {
    Attention: (("q", "k", "v"), ("o",), 0),  # (H, T, S); cross-attention too
    RelativeAttention: (("q", "k", "v", "r"), ("o",), 0),
    MLP: (("up",), ("down",), -1),  # (T, F)
    GatedMLP: (("gate", "up"), ("down",), -1),
}
# Parameters that are no linear map's, and the dim that runs over the heads.
TABLES: dict[type[nn.Module], dict[str, int]] = {
    RelativeAttention: {"content_bias": 0, "distance_bias": 0, "segment_bias": 0, "segment_embedding": 1},
}


class _Copy(torch.autograd.Function):
    """The same in every process, going in; coming back, each has a part of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _sum(grad, ctx.group), None


class _AddUp(torch.autograd.Function):
    """Each process has a part of the sum, going out; coming back, the gradient is every process's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        return _sum(x, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _sum(x: Tensor, group: Any) -> Tensor:
    summed: Any = collectives.all_reduce(x.contiguous(), "sum", group)
    done: Tensor = collectives.wait_tensor(summed)  # type: ignore[no-untyped-call]
    return done


def cut_tensors(model: LanguageModel, mesh: Mesh) -> dict[str, Piece]:
    """Cut the model's parts; returns the pieces, by the name of the parameter."""
    names = {id(p): name for name, p in model.named_parameters()}
    pieces: dict[str, Piece] = {}
    for module in list(model.modules()):
        copied = _copied_maps(module, mesh.sizes["tensor"])
        for owner, key, dim in _cuts(module, copied):
            name = names[id(getattr(owner, key))]
            pieces[name] = _cut(owner, key, dim, mesh)
        _share_heads(module, copied, mesh)
    return pieces


def count_cut(model: LanguageModel, count: int) -> int:
    """How many parameters are cut among so many processes."""
    return sum(
        getattr(owner, key).numel()
        for module in model.modules()
        for owner, key, _ in _cuts(module, _copied_maps(module, count))
    )


def _cuts(module: nn.Module, copied: Collection[str]) -> Iterator[tuple[nn.Module, str, int]]:
    """(module, parameter's name in it, dim) of what is cut in a part itself."""
    into, out, _ = _part(module)
    for name in set(into) - set(copied):
        linear = getattr(module, name)
        yield from ((linear, key, 0) for key in ("weight", "bias") if getattr(linear, key) is not None)
    yield from ((getattr(module, name), "weight", 1) for name in out)
    yield from ((module, key, dim) for key, dim in TABLES.get(type(module), {}).items())
    if isinstance(module, RelativeBias):
        yield module.table, "weight", 1


def _part(module: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    return next((row for kind, row in PARTS.items() if isinstance(module, kind)), ((), (), 0))


def check_part(module: nn.Module, count: int) -> None:
    """Raises BadInput if a part cannot be shared out among so many processes."""
    if isinstance(module, Attention | RelativeAttention):
        heads = module.q.weight.shape[0] // module.d_head
        if heads % count:
            raise BadInput(f"parallel.tensor={count}: {heads} heads cannot be shared out evenly")
        keys = module.k.weight.shape[0] // module.d_head
        if keys % count and count % keys:
            raise BadInput(f"parallel.tensor={count}: {keys} key heads cannot be shared out evenly, nor be copied so")
    elif isinstance(module, MLP | GatedMLP) and module.up.weight.shape[0] % count:
        raise BadInput(f"parallel.tensor={count}: model.d_ff={module.up.weight.shape[0]} cannot be shared out evenly")


def _copied_maps(module: nn.Module, count: int) -> tuple[str, ...]:
    """Keys and values of fewer heads than there are processes: each makes them all, and takes the one it needs."""
    few = isinstance(module, Attention) and module.k.weight.shape[0] // module.d_head % count
    return ("k", "v") if few else ()


def _cut(owner: nn.Module, key: str, dim: int, mesh: Mesh) -> Piece:
    """Put this process's part in the place of a parameter."""
    parameter = getattr(owner, key)
    size = parameter.shape[dim] // mesh.sizes["tensor"]
    start = mesh.number("tensor") * size
    setattr(owner, key, nn.Parameter(parameter.detach().narrow(dim, start, size).contiguous()))
    spans = [slice(0, length) for length in parameter.shape]
    spans[dim] = slice(start, start + size)
    return Piece(tuple(parameter.shape), tuple(spans), (mesh.group("tensor"),))


def _share_heads(module: nn.Module, copied: Collection[str], mesh: Mesh) -> None:
    """What runs through a part that was cut."""
    into, out, dim = _part(module)
    group, count, number = mesh.group("tensor"), mesh.sizes["tensor"], mesh.number("tensor")
    for name in into:
        linear = getattr(module, name)
        if isinstance(module, Attention) and name in copied:
            head = number * (linear.weight.shape[0] // module.d_head) // count
            linear.forward = _copied(linear, group, head * module.d_head, module.d_head)
        else:
            linear.forward = _by_outputs(linear, group)
    for name in out:
        getattr(module, name).forward = _by_inputs(getattr(module, name), group)
    if isinstance(dropout := getattr(module, "dropout", None), Dropout) and into:
        number_elements(dropout, {dim: (number, count)})
    if isinstance(module, Alibi):
        each = len(module.slopes) // count
        module.slopes = module.slopes[number * each : (number + 1) * each]


def _by_outputs(linear: nn.Linear, group: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.linear(_Copy.apply(x, group), linear.weight, linear.bias)  # type: ignore[no-untyped-call]


def _copied(linear: nn.Linear, group: Any, start: int, size: int) -> Callable[[Tensor], Tensor]:
    return lambda x: _Copy.apply(functional.linear(x, linear.weight, linear.bias), group).narrow(-1, start, size)  # type: ignore[no-untyped-call]


def _by_inputs(linear: nn.Linear, group: Any) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        summed: Tensor = _AddUp.apply(functional.linear(x, linear.weight), group)  # type: ignore[no-untyped-call]
        return summed if linear.bias is None else summed + linear.bias

    return forward
