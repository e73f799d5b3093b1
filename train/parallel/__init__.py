"""What is done to a model from outside: the axes along which processes share it, checkpointed activations, compilation,
clipping. It cannot tell."""

from train.parallel.apply import apply_plan, at_rest, check_axes, eagerly, share_of_weights, spread_model
from train.parallel.configs import AXES, ActivationCheckpointing, ParallelConfig, Plan, choose_plan, micro_steps
from train.parallel.context import cut_batch
from train.parallel.mesh import Mesh, check_length, clip_gradients
from train.parallel.replicas import Replicas, open_replicas

__all__ = [
    "AXES",
    "ActivationCheckpointing",
    "Mesh",
    "ParallelConfig",
    "Plan",
    "Replicas",
    "apply_plan",
    "at_rest",
    "check_axes",
    "check_length",
    "choose_plan",
    "clip_gradients",
    "cut_batch",
    "eagerly",
    "micro_steps",
    "open_replicas",
    "share_of_weights",
    "spread_model",
]
