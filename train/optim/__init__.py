"""Parameter groups, AdamW, Muon, both also in exact arithmetic, and learning-rate schedules."""

from train.optim.configs import OptimConfig, OptimizerName, Schedule, schedule_factor
from train.optim.make import make_optimizers, set_learning_rate, state_entries
from train.optim.muon import Muon, orthogonalise

__all__ = [
    "Muon",
    "OptimConfig",
    "OptimizerName",
    "Schedule",
    "make_optimizers",
    "orthogonalise",
    "schedule_factor",
    "set_learning_rate",
    "state_entries",
]
