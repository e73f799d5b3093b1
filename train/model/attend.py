"""softmax(q k' * scale + mask) v: by torch's own kernels, or written out for a compiler that fuses it.

Shapes: B batch, T query length, S key length, H heads, K key/value heads, E head width.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from train.model.dropout import Dropout
from train.numerics import widen

_WRITTEN_OUT = 2048  # keys: beyond, a table of all scores takes more memory than it saves time
_BLOCKS, _ROWS = 4, 128  # of a causal table, and of each at least: right of a block's diagonal nothing is made


def attend(
    q: Float[Tensor, "B H T E"],
    k: Float[Tensor, "B K S E"],
    v: Float[Tensor, "B K S E"],
    mask: Tensor | None,
    is_causal: bool,
    scale: float,
    dropout: Dropout,
    noise: Tensor | None,
) -> Float[Tensor, "B H T E"]:
    """softmax(q k' * scale + mask) v (Vaswani et al., 2017, eq. 1). `is_causal`: no query looks at a later key; a mask
    says so too, and what it hides for that reason alone need not be made.

    Where a processor's code is being compiled, the scores are written out and fused: forward and backward of a block's
    attention then take about half of what they take with torch's own kernel for processors (LOG.md).
    """
    dropping = noise is not None and dropout.threshold > 0
    writing = torch.compiler.is_compiling() and q.device.type == "cpu" and k.shape[2] <= _WRITTEN_OUT
    if not (dropping or writing):
        if mask is not None and mask.dtype is not torch.bool:
            mask = mask.to(q.dtype)
        return functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=is_causal and mask is None,
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    if not dropping:
        out: Tensor = _WrittenOut.apply(q, k, v, mask, is_causal, scale)  # type: ignore[no-untyped-call]
        return out
    scores = _scores(q, k, mask, scale)
    if is_causal and mask is None:
        scores = _causal(scores)
    dropped: Tensor = dropout(scores.softmax(-1).to(v.dtype), noise) @ v
    return dropped


class _WrittenOut(torch.autograd.Function):
    """Attention whose softmax is divided by its sums after the product with the values, as in FlashAttention (Dao et
    al., 2022): each exponential is made once, kept in the products' precision, and used again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool, scale: float
    ) -> Tensor:
        blocks = _blocks(q.shape[2], k.shape[2], is_causal and not ctx.needs_input_grad[3])
        outs, kept = [], []
        for rows, end in blocks:
            part = mask if mask is None or len(blocks) == 1 else mask[:, :, rows, :end]
            scores = _scores(q[:, :, rows], k[:, :, :end], part, scale)
            if is_causal and mask is None:
                scores = _causal(scores)
            weights = (scores - scores.amax(-1, keepdim=True)).exp()
            total = weights.sum(-1, keepdim=True)
            weights = weights.to(v.dtype)
            outs.append((widen(weights @ v[:, :, :end]) / total).to(v.dtype))
            kept += [weights, total]
        out = torch.cat(outs, 2)
        ctx.save_for_backward(q, k, v, mask, out, *kept)
        ctx.blocks, ctx.scale = blocks, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, out, *kept = ctx.saved_tensors
        of_q, of_k, of_v, of_scores = [], [], [], torch.empty(0)
        for (rows, end), weights, total in zip(ctx.blocks, kept[::2], kept[1::2], strict=True):
            of_out = widen(grad[:, :, rows]) / total
            inner = (of_out * widen(out[:, :, rows])).sum(-1, keepdim=True)
            of_out = of_out.to(v.dtype)
            of_scores = widen(weights) * (widen(of_out @ v[:, :, :end].mT) - inner)
            of_products = (of_scores * ctx.scale).to(q.dtype)
            of_q.append(of_products @ k[:, :, :end])
            of_k.append(of_products.mT @ q[:, :, rows])
            of_v.append(weights.mT @ of_out)
        of_mask = of_scores.sum_to_size(mask.shape) if ctx.needs_input_grad[3] else None
        return torch.cat(of_q, 2), _add_up(of_k, ctx.blocks), _add_up(of_v, ctx.blocks), of_mask, None, None


def _blocks(queries: int, keys: int, is_causal: bool) -> list[tuple[slice, int]]:
    """Rows of the table of scores, and how many keys the last of them sees. All at once if they see all keys."""
    blocks = min(_BLOCKS, max(1, queries // _ROWS))
    if not is_causal or queries != keys or queries % blocks:
        return [(slice(0, queries), keys)]
    each = queries // blocks
    return [(slice(end - each, end), end) for end in range(each, queries + 1, each)]


def _scores(q: Tensor, k: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """(B, H, T, S), in float32 or more."""
    scores = widen(q @ k.mT) * scale
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask


def _causal(scores: Tensor) -> Tensor:
    """Scores without those of later keys; the last query stands at the last key."""
    queries, keys = scores.shape[-2:]
    seen = torch.ones(queries, keys, dtype=torch.bool, device=scores.device).tril(keys - queries)
    return scores.masked_fill(~seen, -math.inf)


def _add_up(parts: list[Tensor], blocks: list[tuple[slice, int]]) -> Tensor:
    """The sum of gradients of which each speaks of the keys up to its block's end."""
    total = []
    for number, (rows, _) in enumerate(blocks):
        keys = rows if len(blocks) > 1 else slice(None)
        total.append(sum((widen(part[:, :, keys]) for part in parts[number + 1 :]), widen(parts[number][:, :, keys])))
    return torch.cat(total, 2).to(parts[0].dtype)
