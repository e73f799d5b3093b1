"""Muon (Jordan et al., 2024): each matrix moves by the nearest orthogonal matrix to its momentum."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

from train.numerics import local, piece_of, whole


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised. Matrices of one shape are stacked, so that each step is a few large products.

    Beside `torch.optim.Muon`: batched, in the precision given (bfloat16 products are eight times slower than float32
    ones on a processor without such instructions), and with the rectangular scale sqrt(max(1, rows / columns)).
    A matrix of which a process holds a piece is made whole for the products, which the processes share out.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, steps: int, weight_decay: float,
        precision: torch.dtype,
    ) -> None:  # fmt: skip
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "steps": steps, "weight_decay": weight_decay})
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a parameter without a gradient stays."""
        for group in self.param_groups:
            for parameters in by_shape(group["params"]):
                rows, columns = piece_of(parameters[0]).whole
                ahead = [whole(piece_of(p), self._momentum(p, group["momentum"])) for p in parameters]
                moved = orthogonalise_together(torch.stack(ahead).to(self.precision), group["steps"], parameters[0])
                scale = group["lr"] * math.sqrt(max(1.0, rows / columns))
                for parameter, update in zip(parameters, moved.to(parameters[0].dtype), strict=True):
                    here = local(parameter)
                    if group["weight_decay"]:
                        here.mul_(1 - group["lr"] * group["weight_decay"])
                    here.add_(update[piece_of(parameter).spans], alpha=-scale)

    def _momentum(self, parameter: nn.Parameter, beta: float) -> Tensor:
        """Nesterov's momentum of the gradient, as a running mean; as much of it as is here."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = local(parameter.grad)
        mean = local(state["momentum"]).lerp_(gradient, 1 - beta)
        return gradient.lerp(mean, beta)


_TOGETHER = 2**24  # numbers; large matrices are no faster for being more


def by_shape(parameters: Iterable[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Those that have a gradient, in groups of one shape: as many as are worth the memory of their products."""
    groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            groups.setdefault(piece_of(parameter).whole, []).append(parameter)
    return [part for group in groups.values() for part in _at_once(group)]


def _at_once(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """A few of large ones; of spread ones, one for each process that helps: no more need be whole at a time."""
    spread = bool(piece_of(parameters[0]).groups)
    count = _helpers(parameters[0])[1] if spread else max(1, _TOGETHER // parameters[0].numel())
    return [parameters[start : start + count] for start in range(0, len(parameters), count)]


def _helpers(parameter: nn.Parameter) -> tuple[int, int]:
    """(which, of how many) this process is among those along the axis over which a parameter is spread last."""
    group = piece_of(parameter).groups[-1]
    return distributed.get_rank(group), distributed.get_world_size(group)


def orthogonalise_together(matrices: Tensor, steps: int, parameter: nn.Parameter) -> Tensor:
    """`orthogonalise`; where all matrices are like `parameter`, which is spread, each process does its own."""
    if not piece_of(parameter).groups:
        return orthogonalise(matrices, steps)
    number, count = _helpers(parameter)
    done = matrices[:1].expand(count, -1, -1).contiguous()  # those that are too many are not looked at
    own = orthogonalise(matrices[number : number + 1], steps) if number < len(matrices) else matrices[:1]
    distributed.all_gather(list(done), own[0].contiguous(), group=piece_of(parameter).groups[-1])
    return done[: len(matrices)]


# Each step's coefficients of x, x^3, x^5, made for the interval of singular values that the step before it leaves
# (Amsel et al., "The Polar Express", 2025, from a lower bound of 1e-3); the fifth repeats.
_POLAR = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488034314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845749493, 0.4188073119525673),
)


def orthogonalise(matrices: Tensor, steps: int) -> Tensor:
    """(n, rows, columns) -> the same shape: each matrix with its singular values brought close to 1."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-7)
    for a, b, c in (_POLAR + _POLAR[-1:] * steps)[:steps]:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    result: Tensor = x if wide else x.mT
    return result
