"""A plan applied to a model's blocks from outside, in order: checkpointing of activations, then compilation.

On one device with nothing to do the plan is empty and costs nothing. More axes join this list, not the models.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from train.records import MACHINE, BadInput


class ActivationCheckpointing(Enum):
    """Which activations are kept for the backward pass: all (`none`), or only each block's input (`full`)."""

    none = "none"
    full = "full"


@dataclass(kw_only=True)
class ParallelConfig:
    """How a step is spread over the machine. Nothing here is part of the recipe.

    `sequences_per_device`: how many sequences one forward pass takes; the gradients of the others accumulate.
    """

    activation_checkpointing: ActivationCheckpointing = field(default=ActivationCheckpointing.none, metadata=MACHINE)
    sequences_per_device: int = field(default=16, metadata=MACHINE)

    def __post_init__(self) -> None:
        if self.sequences_per_device < 1:
            raise BadInput(f"parallel.sequences_per_device={self.sequences_per_device}: must be at least 1")


def micro_steps(sequences_per_step: int, sequences_per_device: int) -> int:
    """How many forward passes make one step. Raises BadInput if they do not divide it."""
    per_pass = min(sequences_per_step, sequences_per_device)
    if sequences_per_step % per_pass:
        raise BadInput(
            f"optim.sequences_per_step={sequences_per_step} must be a multiple of "
            f"parallel.sequences_per_device={sequences_per_device}"
        )
    return sequences_per_step // per_pass


def apply_plan(blocks: Iterable[nn.Module], config: ParallelConfig, *, compiling: bool) -> None:
    """Checkpoint the activations of each block, and compile it. Equal blocks are compiled once."""
    for block in blocks:
        if config.activation_checkpointing is ActivationCheckpointing.full:
            _checkpoint_activations(block)
        if compiling:
            block.compile(dynamic=False)


def _checkpoint_activations(block: nn.Module) -> None:
    forward = block.forward

    def checkpointed(*args: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False)

    block.forward = checkpointed


def eagerly() -> AbstractContextManager[Any]:
    """Run compiled blocks as they are written: for evaluation and samples, whose shapes vary."""
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale all gradients so that their norm is at most `limit`; returns the norm before, a float32 scalar."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0))
    return norm
