"""DPO: of two answers the better one is made more likely, compared with a frozen model that the tuning began from.

Rafailov et al., "Direct Preference Optimization", 2023, eq. 7: -log sigmoid(beta (log p(better) / q(better)
- log p(worse) / q(worse))), p the model's and q the frozen one's.
"""

import copy
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from train.loss import Loss, token_log_probabilities
from train.model import LanguageModel
from train.records import IGNORE


class Preference(Loss):
    """The loss of packed pairs: in each row, parts 0, 2, 4 ... are better than parts 1, 3, 5 ..."""

    compares = True

    def __init__(self, model: LanguageModel, beta: float) -> None:
        super().__init__()
        self.reference = copy.deepcopy(model).requires_grad_(False)
        self.beta = beta

    def count(self, targets: npt.NDArray[np.int64], inputs: Mapping[str, npt.NDArray[np.generic]]) -> int:
        """How many pairs there are."""
        counted = targets != IGNORE
        return sum(len(np.unique(row[here])) for row, here in zip(inputs["documents"], counted, strict=True)) // 2

    def forward(
        self, hidden: Float[Tensor, "B T D"], head: nn.Linear, targets: Int[Tensor, "B T"],
        inputs: Mapping[str, Tensor], precision: torch.dtype, compiling: bool,
    ) -> Float[Tensor, ""]:  # fmt: skip
        """The sum over the pairs."""
        documents, own = inputs["documents"], {name: x for name, x in inputs.items() if name != "noise"}
        with torch.no_grad(), torch.autocast(hidden.device.type, torch.bfloat16, precision is torch.bfloat16):
            known = self.reference.hidden(**own)
        with torch.no_grad():
            frozen = _of_parts(known, self.reference.head, targets, documents, precision)
        gain = _of_parts(hidden, head, targets, documents, precision) - frozen
        margin = self.beta * (gain[:, 0::2] - gain[:, 1::2])
        costs = torch.stack([torch.zeros_like(margin), -margin]).logsumexp(0)  # -log sigmoid(margin)
        there = torch.zeros_like(gain).scatter_add(1, documents, (targets != IGNORE).to(gain.dtype)) > 0
        return (costs * there[:, 0::2].to(costs.dtype)).sum()


def _of_parts(
    hidden: Tensor, head: nn.Linear, targets: Tensor, documents: Tensor, precision: torch.dtype
) -> Float[Tensor, "B P"]:
    """The log-probability of the answer in each part of each row; 0 where there is no such part."""
    each = token_log_probabilities(hidden.flatten(0, 1), head.weight, targets.flatten(), head.bias, precision=precision)
    count = hidden.shape[1] + hidden.shape[1] % 2
    nothing = torch.zeros(len(hidden), count, dtype=each.dtype, device=each.device)
    return nothing.scatter_add(1, documents, each.view(targets.shape))
