"""What a run will take, from its config alone: parameters, tokens, operations, memory by part. Nothing is trained.

Operations are counted product by product (run/flops.py); beside them 6ND, the rule of thumb of Kaplan et al. (2020).
Memory is what one device holds at the fullest moment of a step (memory.py).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from train.model import LanguageModel, build_model
from train.plan.memory import memory_of
from train.plan.needs import Needs
from train.run import count_flops_of_run

_PROGRAM = (
    800_000_000  # bytes of Python, torch, its compiler and the earlier stages: what was left of the seven `tiny` runs
)


@dataclass(frozen=True)
class Estimate:
    """`flops`: of the whole run; `six_nd`: the rule of thumb; `memory`: bytes of one device by part."""

    parameters: int
    tokens: int
    flops: float
    six_nd: float
    memory: dict[str, int] = field(default_factory=dict)

    @property
    def copied(self) -> int:
        """Bytes of the host's memory while a checkpoint is written, for each process that writes."""
        return self.memory["weights"] + self.memory["optimizer"]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return vars(self) | {"memory_total": sum(self.memory.values())}


def estimate(needs: Needs) -> Estimate:
    """What a run of this config will take."""
    return with_memory(count(needs), needs)


def count(needs: Needs) -> Estimate:
    """The same without memory, at once."""
    parameters, tokens = size(needs)
    sequences = replace(needs.sequences(), halved_steps=needs.optim.halved_steps)
    flops = count_flops_of_run(_outline(needs), sequences, needs.optim)
    return Estimate(parameters, tokens, float(flops), 6.0 * parameters * tokens)


def size(needs: Needs) -> tuple[int, int]:
    """(parameters, tokens of the whole run): no operation is counted."""
    parameters = sum(p.numel() for p in _outline(needs).parameters())
    return parameters, needs.optim.steps * needs.optim.sequences_per_step * needs.sequences().text_tokens


def _outline(needs: Needs) -> LanguageModel:
    """The model without its numbers."""
    with torch.device("meta"):
        return build_model(needs.model)


def with_memory(counted: Estimate, needs: Needs) -> Estimate:
    """What was counted, and the memory that a step of `needs` takes."""
    return replace(counted, memory={"the program": _PROGRAM, **memory_of(needs)})
