"""Cross-entropy from hidden states, in float32, without ever holding all the logits.

The head and its softmax are applied to a few rows at a time, and the gradients with them, so that memory for logits is
bounded whatever the batch and the vocabulary. The gradients are made in the forward pass, where the logits are at hand:
the cost is one product more than none, not a second pass (as in Liger Kernel's fused linear cross-entropy, Hsu et al.,
2024, and torch's own `linear_cross_entropy`, which torch.compile and autocast do not take as it stands in 2.13).
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORE = -100
_CHUNK_LOGITS = 2**22  # logits at once: 16 MB in float32


def linear_cross_entropy(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    targets: Int[Tensor, " N"],
    precision: torch.dtype = torch.float32,
) -> Float[Tensor, ""]:
    """The sum over rows of -log softmax(hidden @ weight.T)[target]; rows whose target is IGNORE count nothing.

    The products are made in `precision`; the softmax, the sums and the gradient of `weight` are float32.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden.to(precision), weight, targets)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(hidden.dtype)
            need = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
            grad_hidden = torch.empty_like(hidden) if need else None
            grad_weight = torch.zeros_like(weight, dtype=torch.float32) if need else None
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            rows = max(1, _CHUNK_LOGITS // weight.shape[0])
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                total += _chunk(hidden[part], matrix, targets[part], grad_hidden, grad_weight, part)
        if need:
            ctx.save_for_backward(grad_hidden, grad_weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad.to(grad_hidden.dtype), grad_weight * grad, None


def _chunk(
    hidden: Tensor, matrix: Tensor, targets: Tensor, grad_hidden: Tensor | None, grad_weight: Tensor | None, part: slice
) -> Tensor:
    """The loss of a few rows; writes their gradients."""
    logits = (hidden @ matrix.T).float()  # (n, V)
    counted = targets != IGNORE
    picked = targets.clamp(min=0)[:, None]
    log_sum = logits.logsumexp(1)
    loss = ((log_sum - logits.gather(1, picked)[:, 0]) * counted).sum()
    if grad_hidden is not None and grad_weight is not None:
        error = logits.sub_(log_sum[:, None]).exp_()  # softmax; less one at the target
        error.scatter_add_(1, picked, torch.full_like(log_sum, -1.0)[:, None])
        error = error.mul_(counted[:, None]).to(hidden.dtype)
        grad_hidden[part] = error @ matrix
        grad_weight += (error.T @ hidden).float()
    return loss
