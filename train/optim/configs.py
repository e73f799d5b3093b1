"""What an optimizer is told, and learning-rate schedules as functions step -> factor."""

import math
from dataclasses import dataclass, field
from enum import Enum

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
    """`lr` is Muon's, for the matrices between embedding and head; `adamw_lr` all else's (name=adamw: everyone's).

    `halved_share`: of the steps, the first so many read each sequence as two of half its length (Li et al., "The
    Stability-Efficiency Dilemma", 2022: sequence length warmup); the tokens of a step, and their order, stay.
    """

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
    halved_share: float = 0.0
    why: str = field(default="", metadata=MACHINE)

    def __post_init__(self) -> None:
        for name in ("steps", "sequences_per_step", "lr", "adamw_lr", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise BadInput(f"optim.{name}={getattr(self, name)}: must be more than 0, and finite")
        for name in ("decay_share", "momentum", "beta1", "beta2", "final_factor", "halved_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"optim.{name}={getattr(self, name)}: must be from 0 to 1")
        if self.beta1 == 1 or self.beta2 == 1:
            raise BadInput("optim.beta1 and optim.beta2 must be less than 1")
        if not 0 <= self.weight_decay < math.inf or self.newton_schulz_steps < 1 or not self.eps > 0:
            raise BadInput("optim: weight_decay must be at least 0, newton_schulz_steps at least 1, eps more than 0")
        if not 0 <= self.warmup_steps <= self.steps:
            raise BadInput(f"optim.warmup_steps={self.warmup_steps}: from 0 to optim.steps={self.steps}")

    @property
    def halved_steps(self) -> int:
        """How many steps, from the first, read sequences in halves."""
        return round(self.halved_share * self.steps)

    def shortest(self, seq_len: int) -> int:
        """The tokens of the shortest row that a step reads, of sequences of `seq_len`."""
        return seq_len // 2 if self.halved_steps else seq_len


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
