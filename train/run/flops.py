"""Floating-point operations of a pass or a whole run, counted product by product as torch's own operators are called.

Each multiplication and each addition of a matrix product counts one; softmax, norms and the optimizer are left out. The
half of causal attention's scores that is masked is counted too, as in most published figures (PaLM, 2022, appendix B).
"""

import copy

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from train.batches import Batches
from train.model import LanguageModel
from train.optim import OptimConfig
from train.records import Batch


def count_flops_of_run(
    model: LanguageModel, sequences: Batches, optim: OptimConfig, seed: int = 0, *, twice: bool = False
) -> int:
    """Of all steps: a sequence that is read in halves is counted, where there are such steps, and a whole one."""

    def of_steps(first: int, count: int) -> int:
        one = sequences.batch(np.zeros(1, np.int64), seed, first)
        return count * optim.sequences_per_step * count_flops(model, one, twice=twice)

    kinds = (0, optim.halved_steps), (optim.halved_steps, optim.steps - optim.halved_steps)
    return sum(of_steps(first, count) for first, count in kinds if count)


def count_flops(model: LanguageModel, batch: Batch, *, twice: bool = False) -> int:
    """Of one forward and backward pass over `batch`; nothing is computed, and no memory taken.

    `twice`: a second, frozen model reads it as well.
    """
    shape = copy.deepcopy(model).to("meta")
    inputs = {name: torch.from_numpy(array.copy()).to("meta") for name, array in batch.inputs.items()}
    with FlopCounterMode(display=False) as counter:
        shape.hidden(**inputs).sum().backward()  # type: ignore[no-untyped-call]
        if twice:
            with torch.no_grad():
                shape.hidden(**inputs)
    head = (
        (8 if twice else 6) * batch.targets.size * model.head.weight.numel()
    )  # the loss makes three products of the head's size
    return int(counter.get_total_flops()) + head
