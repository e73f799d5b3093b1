"""What is done to a model from outside: replicas, checkpointed activations, compilation, clipping. It cannot tell."""

from train.parallel.apply import (
    ActivationCheckpointing,
    ParallelConfig,
    apply_plan,
    clip_gradients,
    eagerly,
    micro_steps,
)
from train.parallel.replicas import Replicas, open_replicas

__all__ = [
    "ActivationCheckpointing",
    "ParallelConfig",
    "Replicas",
    "apply_plan",
    "clip_gradients",
    "eagerly",
    "micro_steps",
    "open_replicas",
]
