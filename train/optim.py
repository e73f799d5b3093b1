"""Parameter groups, AdamW, Muon, and learning-rate schedules as functions step -> factor.

Muon (Jordan et al., 2024) moves each matrix by the nearest orthogonal matrix to its momentum, found by a few
Newton-Schulz steps; embeddings, head, norms and biases take AdamW (Loshchilov and Hutter, 2019).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from train.records import MACHINE, BadInput


class OptimizerName(Enum):
    """The optimizers."""

    adamw = "adamw"
    muon = "muon"


class Schedule(Enum):
    """The shapes of the learning rate over a run."""

    wsd = "wsd"
    cosine = "cosine"
    constant = "constant"


@dataclass(kw_only=True)
class OptimConfig:
    """`lr` is Muon's, for the matrices between embedding and head; `adamw_lr` all else's (name=adamw: everyone's)."""

    name: OptimizerName
    steps: int
    sequences_per_step: int
    lr: float
    adamw_lr: float
    momentum: float = 0.95
    newton_schulz_steps: int = 5
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    schedule: Schedule = Schedule.wsd
    warmup_steps: int = 0
    decay_share: float = 1.0
    final_factor: float = 0.0
    why: str = field(default="", metadata=MACHINE)

    def __post_init__(self) -> None:
        for name in ("steps", "sequences_per_step", "lr", "adamw_lr", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise BadInput(f"optim.{name}={getattr(self, name)}: must be more than 0, and finite")
        for name in ("decay_share", "momentum", "beta1", "beta2", "final_factor"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"optim.{name}={getattr(self, name)}: must be from 0 to 1")
        if not 0 <= self.weight_decay < math.inf or self.newton_schulz_steps < 1 or not self.eps > 0:
            raise BadInput("optim: weight_decay must be at least 0, newton_schulz_steps at least 1, eps more than 0")
        if not 0 <= self.warmup_steps <= self.steps:
            raise BadInput(f"optim.warmup_steps={self.warmup_steps}: from 0 to optim.steps={self.steps}")


def schedule_factor(config: OptimConfig, step: int) -> float:
    """What the learning rates are multiplied by at `step` (0 is the first).

    Warm-up is linear. `wsd` holds 1 and falls linearly over the last `decay_share` of the steps (Hu et al., "MiniCPM",
    2024); `cosine` falls from the warm-up's end (Loshchilov and Hutter, "SGDR", 2017); both end at `final_factor`.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    if config.schedule is Schedule.constant:
        return 1.0
    decay_from = config.steps * (1 - config.decay_share) if config.schedule is Schedule.wsd else config.warmup_steps
    share = min(1.0, max(0.0, (step - decay_from) / max(1.0, config.steps - decay_from)))
    fall = share if config.schedule is Schedule.wsd else (1 - math.cos(math.pi * share)) / 2
    return 1.0 - fall * (1.0 - config.final_factor)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised. Matrices of one shape are stacked, so that each step is a few large products.

    Beside `torch.optim.Muon`: batched, in the precision given (bfloat16 products are eight times slower than float32
    ones on a processor without such instructions), and with the rectangular scale sqrt(max(1, rows / columns)).
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
            by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
            for (rows, columns), parameters in by_shape.items():
                updates = torch.stack([self._momentum(p, group["momentum"]) for p in parameters])
                moved = orthogonalise(updates.to(self.precision), group["steps"]).float()
                scale = group["lr"] * math.sqrt(max(1.0, rows / columns))
                for parameter, update in zip(parameters, moved, strict=True):
                    if group["weight_decay"]:
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-scale)

    def _momentum(self, parameter: nn.Parameter, beta: float) -> Tensor:
        """Nesterov's momentum of the gradient, as a running mean."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        mean: Tensor = state["momentum"].lerp_(parameter.grad, 1 - beta)
        return parameter.grad.lerp(mean, beta)


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
        x = a * x + torch.baddbmm(b * gram, gram, gram, alpha=c) @ x
    result: Tensor = x if wide else x.mT
    return result


def make_optimizers(config: OptimConfig, model: nn.Module, precision: torch.dtype) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by name; each group remembers its full learning rate under `full_lr`."""
    apart = ("embedding", "head.", "relative.")  # tables and the head, wherever they stand
    inside = {id(p) for name, p in model.named_parameters() if p.ndim == 2 and not any(word in name for word in apart)}
    matrices = [p for p in model.parameters() if id(p) in inside and config.name is OptimizerName.muon]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: dict[str, torch.optim.Optimizer] = {
        "adamw": torch.optim.AdamW(groups, config.adamw_lr, (config.beta1, config.beta2), config.eps, fused=True)
    }
    if matrices:
        steps, decay = config.newton_schulz_steps, config.weight_decay
        optimizers["muon"] = Muon(matrices, config.lr, config.momentum, steps, decay, precision)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return optimizers


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Bring every group to `factor` times its full learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
