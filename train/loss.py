"""Cross-entropy from hidden states, in float32 or float64, without ever holding all the logits.

The head and its softmax are applied to a few rows at a time, and the gradients with them, so that memory for logits is
bounded whatever the batch and the vocabulary. The gradients are made in the forward pass, where the logits are at hand:
the cost is one product more than none, not a second pass (as in Liger Kernel's fused linear cross-entropy, Hsu et al.,
2024, and torch's own `linear_cross_entropy`, which torch.compile and autocast do not take as it stands in 2.13).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from train.numerics import widen
from train.records import IGNORE

_CHUNK_LOGITS, _FEWEST_ROWS = 2**22, 1024  # at once; fewer rows would make the weights' gradients the dearest part


class Loss(nn.Module, ABC):
    """What a step makes smaller: a sum over what is counted. `compares`: it holds a frozen model to compare with."""

    compares = False

    @abstractmethod
    def count(self, targets: npt.NDArray[np.int64], inputs: Mapping[str, npt.NDArray[Any]]) -> int:
        """How many things the sum over a whole batch is a sum of: the loss is their mean."""

    @abstractmethod
    def forward(
        self, hidden: Float[Tensor, "B T D"], head: nn.Linear, targets: Int[Tensor, "B T"],
        inputs: Mapping[str, Tensor], precision: torch.dtype, compiling: bool,
    ) -> Float[Tensor, ""]:  # fmt: skip
        """The sum over some of a batch's sequences."""


class NextToken(Loss):
    """Cross-entropy: each target that is not IGNORE counts once."""

    def count(self, targets: npt.NDArray[np.int64], inputs: Mapping[str, npt.NDArray[Any]]) -> int:
        """The targets."""
        return int((targets != IGNORE).sum())

    def forward(
        self, hidden: Float[Tensor, "B T D"], head: nn.Linear, targets: Int[Tensor, "B T"],
        inputs: Mapping[str, Tensor], precision: torch.dtype, compiling: bool,
    ) -> Float[Tensor, ""]:  # fmt: skip
        """The sum over the targets."""
        return linear_cross_entropy(
            hidden.flatten(0, 1), head.weight, targets.flatten(), head.bias, precision=precision, compiling=compiling
        )


def _rows_at_once(vocabulary: int) -> int:
    return max(_FEWEST_ROWS, _CHUNK_LOGITS // vocabulary)


def token_log_probabilities(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    targets: Int[Tensor, " N"],
    bias: Float[Tensor, " V"] | None = None,
    *,
    precision: torch.dtype = torch.float32,
) -> Float[Tensor, " N"]:
    """log softmax(hidden @ weight.T + bias)[target] of each row, 0 where the target is IGNORE.

    The logits are made a few rows at a time, and again for the backward pass.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        rows = _rows_at_once(weight.shape[0])
        hidden = hidden.to(precision)
        parts = [
            checkpoint(
                _log_probabilities, hidden[i : i + rows], weight, targets[i : i + rows], bias, use_reentrant=False
            )
            for i in range(0, len(hidden), rows)
        ]
        return torch.cat(parts)


def _log_probabilities(hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None) -> Tensor:
    logits = widen(hidden @ weight.to(hidden.dtype).T)
    scores = logits if bias is None else logits + bias
    picked = scores.gather(1, targets.clamp(min=0)[:, None])[:, 0] - scores.logsumexp(1)
    return picked * (targets != IGNORE)


def linear_cross_entropy(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    targets: Int[Tensor, " N"],
    bias: Float[Tensor, " V"] | None = None,
    *,
    precision: torch.dtype = torch.float32,
    compiling: bool = False,
) -> Float[Tensor, ""]:
    """The sum over rows of -log softmax(hidden @ weight.T + bias)[target]; a target of IGNORE counts nothing.

    The products are made in `precision`; the softmax and the sums are float32 (in float64 that), the gradients of
    the weights as these. `compiling` fuses the softmax with its gradient.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden.to(precision), weight, bias, targets, compiling)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, compiling: bool
    ) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(hidden.dtype)
            need = any(ctx.needs_input_grad)
            softmax_error = _compiled_softmax_error() if compiling else _softmax_error
            gradients = [torch.empty_like(hidden), torch.zeros_like(weight)] if need else []
            if need and bias is not None:
                gradients.append(torch.zeros_like(bias))
            total = torch.zeros((), dtype=weight.dtype, device=hidden.device)
            rows = _rows_at_once(weight.shape[0])
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                loss, error = softmax_error(hidden[part] @ matrix.T, bias, targets[part])
                total += loss
                if need:
                    gradients[0][part] = error @ matrix
                    gradients[1] += error.T @ hidden[part]
                if need and bias is not None:
                    gradients[2] += widen(error).sum(0)
                del error  # before the next is made
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, *weights = (saved * grad.to(saved.dtype) for saved in ctx.saved_tensors)
        return (hidden, *weights, *[None] * (5 - 1 - len(weights)))


@cache
def _compiled_softmax_error() -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(_softmax_error, dynamic=False)


def _softmax_error(logits: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The summed loss of (n, V) logits, and its gradient: softmax, less one at the target."""
    scores = widen(logits) if bias is None else widen(logits) + bias
    counted, picked = targets != IGNORE, targets.clamp(min=0)[:, None]
    largest = scores.amax(1, keepdim=True)
    weights = (scores - largest).exp_()
    total = weights.sum(1, keepdim=True)
    loss = ((largest + total.log() - scores.gather(1, picked))[:, 0] * counted).sum()
    columns = torch.arange(logits.shape[1], dtype=torch.int32, device=logits.device)  # half as wide to compare as int64
    at_target = columns == targets.to(torch.int32)[:, None]  # nowhere, where the target is IGNORE
    error = weights.mul_(counted[:, None] / total).sub_(at_target.to(scores.dtype))
    return loss, error.to(logits.dtype)
