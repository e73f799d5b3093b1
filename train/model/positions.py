"""Where a token stands, told to attention: rotations, slopes, buckets."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from train.numerics import widen
from train.records import BadInput


@dataclass(kw_only=True)
class RopeScaling:
    """How rotations are slowed for texts longer than those trained on: `none`, `linear`, or `llama3`.

    `linear` divides every frequency by `factor` (Chen et al., "Extending Context Window", 2023); `llama3` divides those
    whose wave is longer than `original_seq_len / low_freq_factor`, leaves those shorter than `original_seq_len /
    high_freq_factor`, and goes from one to the other in between (Llama 3.1's published code).
    """

    kind: str = "none"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_seq_len: int = 8192

    def __post_init__(self) -> None:
        if self.kind not in {"none", "linear", "llama3"}:
            raise BadInput(f"model.rope_scaling.kind={self.kind}: one of none, linear, llama3")
        if not self.factor >= 1 or not 0 < self.low_freq_factor < self.high_freq_factor or self.original_seq_len < 1:
            raise BadInput("model.rope_scaling: factor at least 1, low_freq_factor less than high_freq_factor")

    def scale(self, frequency: Tensor) -> Tensor:
        """The frequencies, slowed."""
        if self.kind == "none":
            return frequency
        if self.kind == "linear":
            return frequency / self.factor
        turns = self.original_seq_len * frequency / (2 * math.pi)  # of the whole original length
        share = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        share = share.clamp(0, 1)
        return (1 - share) * frequency / self.factor + share * frequency


class Rotary(nn.Module):
    """Rotary position embedding, halves rotated against each other (Su et al., "RoFormer", 2021, eq. 34)."""

    def __init__(self, d_head: int, theta: float, scaling: RopeScaling | None = None) -> None:
        super().__init__()
        self.d_head, self.theta = d_head, theta
        self.scaling = scaling or RopeScaling()

    def tables(self, start: int, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines for `length` positions from `start`, each (T, E/2), made in float64, of `like`'s type."""
        device, dtype = like.device, torch.promote_types(like.dtype, torch.float32)
        exponent = torch.arange(0, self.d_head, 2, device=device, dtype=torch.float64) / self.d_head
        positions = torch.arange(start, start + length, device=device, dtype=torch.float64)
        angles = torch.outer(positions, self.scaling.scale(self.theta**-exponent))
        return angles.cos().to(dtype), angles.sin().to(dtype)

    @staticmethod
    def rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
        """Turn each pair (x_i, x_{i+E/2}) of (B, H, T, E) by its position's angle."""
        cos, sin = tables
        first, second = widen(x).chunk(2, -1)
        turned = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        return turned.to(x.dtype)


class Alibi(nn.Module):
    """Attention with linear biases: each head adds slope * position of the key (Press et al., 2022, section 3).

    `scale` multiplies the biases, and `rounded` makes them in bfloat16: Falcon-RW was trained so.
    """

    def __init__(self, n_heads: int, scale: float = 1.0, *, rounded: bool = False) -> None:
        super().__init__()
        self.slopes, self.scale, self.rounded = alibi_slopes(n_heads), scale, rounded

    def bias(self, positions: Int[Tensor, "B S"]) -> Tensor:
        """(B, H, 1, S) float32."""
        slopes = torch.tensor(self.slopes, device=positions.device)[:, None]
        keys = positions[:, None, :]
        biases = (slopes.bfloat16() * keys.bfloat16()).float() if self.rounded else slopes * keys
        return biases[:, :, None] * self.scale


def alibi_slopes(n_heads: int) -> list[float]:
    """2^(-8 i / n); if n is no power of two, those of the power below it and every other of the power above."""
    below = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * i / below) for i in range(1, below + 1)]
    return slopes + [2 ** (-8 * i / (2 * below)) for i in range(1, 2 * (n_heads - below), 2)]


class RelativeBias(nn.Module):
    """A learned bias for each bucket of distances and each head (Raffel et al., "T5", 2020, section 2.1)."""

    def __init__(self, n_buckets: int, max_distance: int, n_heads: int, *, both_ways: bool) -> None:
        super().__init__()
        self.n_buckets, self.both_ways = n_buckets, both_ways
        self.edges = _edges(n_buckets // 4 if both_ways else n_buckets // 2, max_distance)
        self.table = nn.Embedding(n_buckets, n_heads)

    def forward(self, start: int, length: int, size: int) -> Tensor:
        """(1, H, T, S): what queries start..start+length-1 add to their scores of keys 0..size-1."""
        device = self.table.weight.device
        queries = torch.arange(start, start + length, device=device)[:, None]
        buckets = self._bucket(torch.arange(size, device=device)[None] - queries)
        bias: Tensor = self.table(buckets)  # (T, S, H)
        return bias.permute(2, 0, 1)[None]

    def _bucket(self, distance: Tensor) -> Tensor:
        """Near distances have a bucket each; those further off share buckets that widen as their logarithm."""
        buckets, first = self.n_buckets, torch.zeros_like(distance)
        if self.both_ways:
            buckets //= 2
            first = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        far = exact + torch.bucketize(distance, torch.tensor(self.edges, device=distance.device), right=True)
        return first + torch.where(distance < exact, distance, far)


def _edges(exact: int, furthest: int) -> list[int]:
    """Where buckets 1, 2, ... of the far distances begin: the least d with (d / exact)^exact >= (furthest / exact)^k.

    In whole numbers, for a logarithm may say another bucket on another machine.
    """
    return [
        next(d for d in range(exact, furthest + 1) if d**exact * exact**k >= furthest**k * exact**exact)
        for k in range(1, exact)
    ]
