"""What is done to a model from outside: checkpointing of activations, compilation, clipping. The model cannot tell."""

from train.parallel.apply import (
    ActivationCheckpointing,
    ParallelConfig,
    apply_plan,
    clip_gradients,
    eagerly,
    micro_steps,
)

__all__ = ["ActivationCheckpointing", "ParallelConfig", "apply_plan", "clip_gradients", "eagerly", "micro_steps"]
