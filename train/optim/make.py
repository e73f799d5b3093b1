"""Which parameters take which optimizer: the matrices between embedding and head Muon, all else AdamW."""

from collections.abc import Iterable

import torch
from torch import nn

from train.numerics import Rounding
from train.optim.configs import OptimConfig, OptimizerName
from train.optim.exact import ExactAdamW, ExactMuon
from train.optim.muon import Muon


def make_optimizers(
    config: OptimConfig, model: nn.Module, precision: torch.dtype, rounding: Rounding | None = None
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by name; each group remembers its full learning rate under `full_lr`.

    `precision`: of Muon's products; in float64 both are exact, and `rounding` decides as it is told.
    """
    apart = ("embedding", "head.", "relative.")  # tables and the head, wherever they stand
    learned = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    inside = {id(p) for name, p in learned if p.ndim == 2 and not any(word in name for word in apart)}
    matrices = [p for _, p in learned if id(p) in inside and config.name is OptimizerName.muon]
    chosen = {id(p) for p in matrices}
    others = [p for _, p in learned if id(p) not in chosen]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: dict[str, torch.optim.Optimizer] = {}
    betas, steps, decay = (config.beta1, config.beta2), config.newton_schulz_steps, config.weight_decay
    if precision is torch.float64:
        names, rounding = {parameter: name for name, parameter in model.named_parameters()}, rounding or Rounding()
        optimizers["adamw"] = ExactAdamW(groups, config.adamw_lr, betas, config.eps, names, rounding)
        if matrices:
            optimizers["muon"] = ExactMuon(matrices, config.lr, config.momentum, steps, decay, names, rounding)
    else:
        optimizers["adamw"] = torch.optim.AdamW(groups, config.adamw_lr, betas, config.eps, fused=True)
        if matrices:
            optimizers["muon"] = Muon(matrices, config.lr, config.momentum, steps, decay, precision)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return optimizers


def state_entries(optimizer: torch.optim.Optimizer) -> dict[str, torch.dtype]:
    """What an optimizer remembers of a parameter, by name. `step` is one number, all else as large as the parameter."""
    if isinstance(optimizer, Muon):
        return {"momentum": torch.float32}
    if isinstance(optimizer, ExactMuon):
        return {"step": torch.int64, "momentum": torch.float32}
    if isinstance(optimizer, ExactAdamW):
        return {"step": torch.int64, "mean": torch.float32, "square": torch.float32}
    return dict.fromkeys(("step", "exp_avg", "exp_avg_sq"), torch.float32)


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Bring every group to `factor` times its full learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
