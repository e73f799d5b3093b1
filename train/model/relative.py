"""Attention that knows how far apart two tokens are, and not where they stand (Dai et al., Transformer-XL, 2019).

Shapes: B batch, T query length, S key length, R distances, D model width, H heads, E head width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from train.model.dropout import Dropout
from train.numerics import widen

_NEVER = -1e30  # finite: a query that may look nowhere looks everywhere alike, as in the published code, and is not NaN


class RelativeAttention(nn.Module):
    """Scores of content, of distance and of segment, each with a bias of its own (Dai et al., 2019, section 3.3)."""

    def __init__(self, d_model: int, n_heads: int, d_head: int, dropout: float) -> None:
        super().__init__()
        self.d_head = d_head
        inner = n_heads * d_head
        self.q, self.k, self.v, self.r = (nn.Linear(d_model, inner, bias=False) for _ in range(4))
        self.o = nn.Linear(inner, d_model, bias=False)
        self.content_bias, self.distance_bias, self.segment_bias = (nn.Parameter(torch.zeros(inner)) for _ in range(3))
        self.segment_embedding = nn.Parameter(torch.zeros(2, inner))
        self.dropout = Dropout(dropout)

    def split(self, x: Tensor) -> Tensor:
        """(..., T, H * E) -> (..., H, T, E)."""
        return x.reshape(*x.shape[:-1], -1, self.d_head).transpose(-2, -3)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, r: Tensor, mask: Tensor | None, places: Tensor | None,
        apart: Tensor | None, noise: Tensor | None,
    ) -> Float[Tensor, "B T D"]:  # fmt: skip
        """`keys`, `values`: (B, H, S, E); `r`: ([B,] H, R, E), distances S ... 1 - T; `places` None: all in order."""
        q = self.q(x)
        content = self.split(q + self.content_bias) @ keys.mT  # (B, H, T, S)
        distance = self.split(q + self.distance_bias) @ r.mT  # (B, H, T, R)
        size = keys.shape[2]
        if places is None:
            distance = _shift(distance, size)
        else:
            distance = distance.gather(3, places[:, None].expand(-1, distance.shape[1], -1, -1))
        scores = widen(content + distance)
        if apart is not None:
            segments = self.split(self.segment_embedding)  # (H, 2, E)
            by_segment = widen(self.split(q + self.segment_bias) @ segments.mT)  # (B, H, T, 2)
            scores = scores + torch.where(apart[:, None], by_segment[..., 1:], by_segment[..., :1])
        scores = scores * self.d_head**-0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], _NEVER)
        y = self.dropout(scores.softmax(-1).to(values.dtype), noise) @ values
        out: Tensor = self.o(y.transpose(1, 2).flatten(2))
        return out


def _shift(scores: Tensor, size: int) -> Tensor:
    """(B, H, T, R) by distance -> (B, H, T, S) by key: row i moves left by T - i (Dai et al., 2019, appendix B)."""
    batch, heads, length, distances = scores.shape
    turned = scores.reshape(batch, heads, distances, length)[:, :, 1:]
    return turned.reshape(batch, heads, length, distances - 1)[..., :size]
