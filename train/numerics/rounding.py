"""The one rounding of exact arithmetic: from float64, with its noise, to bfloat16, in which the noise is gone.

Sums in another order differ by some 1e-15 of their size. bfloat16 keeps 8 bits, so two such sums round to the same
number unless a tie lies between them. What comes close to a tie is written down: whoever makes the model again and
finds a value there takes the decision that was published, and the two do not part.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_BITS = 8  # of bfloat16's significand
_SPLIT = 2.0 ** (53 - _BITS) + 1  # keeps the upper 8 of 53 bits (Veltkamp, 1968); torch's cast would round twice
_ZERO = 2.0**-40  # what should be zero and is noise stays below it; Adam would blow it up
_CLOSE = 2.0**-29  # of a value: ten thousand times the noise of most


class Rounding:
    """Rounds, and writes down what came close to a tie: rows of {"step", "tensor", "index", "value"}."""

    def __init__(self, decided: Iterable[dict[str, Any]] = ()) -> None:
        self.rows: list[dict[str, Any]] = []
        self._decided: dict[tuple[int, str], dict[int, float]] = {}
        for row in decided:
            there = self._decided.setdefault((int(row["step"]), str(row["tensor"])), {})
            there[int(row["index"])] = float(row["value"])

    def __call__(self, step: int, name: str, exact: Tensor) -> Tensor:
        """float64 of any shape -> float32 whose values are bfloat16's. Raises ValueError for another type."""
        if exact.dtype is not torch.float64:
            raise ValueError(f"{name}: exact arithmetic rounds float64, not {exact.dtype}")
        rounded = _upper_bits(exact.contiguous()).float()
        flat, values = rounded.view(-1), exact.reshape(-1)
        decided = self._decided.get((step, name), {})
        for index in _close_to_a_tie(values).tolist():
            published, value = decided.get(index), float(values[index])
            if published is not None and abs(published - value) < abs(value) * 2.0**-_BITS:  # else it is no neighbour
                flat[index] = published
            self.rows.append({"step": step, "tensor": name, "index": index, "value": float(flat[index])})
        return torch.where(rounded.abs() < _ZERO, 0.0, rounded)


def _upper_bits(exact: Tensor) -> Tensor:
    """float64, rounded to the nearest number of 8 bits."""
    scaled = exact * _SPLIT
    return scaled - (scaled - exact)


def _close_to_a_tie(values: Tensor) -> Tensor:
    """The places of those of (n,) float64 that would round otherwise if they were a little larger or smaller."""
    parts = _upper_bits(values * (1 + _CLOSE)) != _upper_bits(values * (1 - _CLOSE))
    return (parts & (values.abs() > _ZERO / 2)).nonzero()[:, 0]


def _space(values: Tensor) -> Tensor:
    """From each value to the next number of bfloat16."""
    return torch.ldexp(torch.ones_like(values), torch.frexp(values).exponent - _BITS)


def expected_flips(one: Tensor, other: Tensor) -> float:
    """How many values of a tensor, made in two ways, will round otherwise on average: noise beside the space between
    two numbers of bfloat16, summed. Both float64, of one shape."""
    return float(torch.where(one.abs() < _ZERO / 2, 0.0, (one - other).abs() / _space(one)).sum())
