"""AdamW and Muon in exact arithmetic: gradients come in float64, are rounded once, and move weights by fixed steps.

Everything after the rounding is one addition, subtraction, multiplication or division of float32 per torch operation,
with scalars as float32 tensors: IEEE 754 says what each gives, on every machine. Nothing is fused, for a fused
multiplication and addition rounds once where two round twice. `sqrt` is made in float64 and rounded, since torch's own
is not correctly rounded in float32 on x86. The weights are held in float64 and are float32 numbers.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from train.numerics import Rounding, local, piece_of, whole
from train.optim.muon import by_shape, orthogonalise_together


class ExactAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter, 2019, algorithm 2), its bias corrections folded into two scalars."""

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float], eps: float,
        names: Mapping[nn.Parameter, str], rounding: Rounding,
    ) -> None:  # fmt: skip
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps})
        self._names, self._rounding = names, rounding

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a parameter without a gradient stays."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2), lr = (
            _counted(self.state[parameter], parameter, "mean", "square"),
            group["betas"],
            group["lr"],
        )
        step, mean, square = int(state["step"]), local(state["mean"]), local(state["square"])
        g = _rounded(self._rounding, step, self._names[parameter], parameter, gradient)
        weights = local(parameter).float()
        mean.mul_(_one(beta1)).add_(g.mul(_one(1 - beta1)))
        square.mul_(_one(beta2)).add_(g.mul(g).mul_(_one(1 - beta2)))
        if group["weight_decay"]:
            weights.sub_(weights.mul(_one(lr * group["weight_decay"])))
        root = square.mul(_one(1 / (1 - power(beta2, step)))).double().sqrt().float()
        weights.sub_(mean.mul(_one(lr / (1 - power(beta1, step)))).div_(root.add_(_one(group["eps"]))))
        local(parameter).copy_(weights)


class ExactMuon(torch.optim.Optimizer):
    """Muon: momentum in float32, orthogonalised in float64, the result rounded as gradients are."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, steps: int, weight_decay: float,
        names: Mapping[nn.Parameter, str], rounding: Rounding,
    ) -> None:  # fmt: skip
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "steps": steps, "weight_decay": weight_decay})
        self._names, self._rounding = names, rounding

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a parameter without a gradient stays."""
        for group in self.param_groups:
            for parameters in by_shape(group["params"]):
                ahead = [whole(piece_of(p), self._momentum(p, group["momentum"])) for p in parameters]
                moved = orthogonalise_together(torch.stack(ahead).double(), group["steps"], parameters[0])
                for parameter, direction in zip(parameters, moved, strict=True):
                    self._move(parameter, direction, group)

    def _momentum(self, parameter: nn.Parameter, keep: float) -> Tensor:
        """Nesterov's momentum of the rounded gradient, as a running mean."""
        assert parameter.grad is not None
        state = _counted(self.state[parameter], parameter, "momentum")
        mean = local(state["momentum"])
        g = _rounded(self._rounding, int(state["step"]), self._names[parameter], parameter, parameter.grad)
        taken = g.mul_(_one(1 - keep))
        mean.mul_(_one(keep)).add_(taken)
        return mean.mul(_one(keep)).add_(taken)

    def _move(self, parameter: nn.Parameter, direction: Tensor, group: dict[str, Any]) -> None:
        moved = self._rounding(int(self.state[parameter]["step"]), f"{self._names[parameter]}/moved", direction)
        weights, piece = local(parameter).float(), piece_of(parameter)
        rows, columns = piece.whole
        if group["weight_decay"]:
            weights.sub_(weights.mul(_one(group["lr"] * group["weight_decay"])))
        weights.sub_(moved[piece.spans].mul(_one(group["lr"] * math.sqrt(max(1.0, rows / columns)))))
        local(parameter).copy_(weights)


def _rounded(rounding: Rounding, step: int, name: str, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
    """What is here of the rounded gradient. It is rounded whole, so that every process decides the same, and all of
    it is written down."""
    piece = piece_of(parameter)
    return rounding(step, name, whole(piece, local(gradient)))[piece.spans]


def power(base: float, exponent: int) -> float:
    """base^exponent by multiplications alone: the C library's `pow` is another on another machine."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base, exponent = base * base, exponent >> 1
    return result


def _one(value: float) -> Tensor:
    """A scalar as a float32 tensor: a Python number would be multiplied in a precision of torch's choice."""
    return torch.tensor(value, dtype=torch.float32)


def _counted(state: dict[str, Tensor], parameter: nn.Parameter, *names: str) -> dict[str, Tensor]:
    """A parameter's state, float32 zeros at first, its number of steps one more."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.int64)
        state |= {name: torch.zeros_like(parameter, dtype=torch.float32) for name in names}
    state["step"] += 1
    return state
