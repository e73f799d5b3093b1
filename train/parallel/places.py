"""Dropout's masks follow from an element's number: in a piece of a tensor, the number that it has in the whole."""

from collections.abc import Mapping

import torch
from torch import Tensor

from train.model import Dropout


def number_elements(dropout: Dropout, cuts: Mapping[int, tuple[int, int]], *, seen: bool = False) -> None:
    """Tell `dropout` that it meets piece `number` of `count` on some dims of a sample: {dim: (number, count)}.

    `seen`: its last dim holds the keys up to the last query, of as many as there are queries in the whole. What was
    told before stays.
    """
    before = getattr(dropout.number_elements, "cuts", {}), getattr(dropout.number_elements, "seen", False)
    dropout.number_elements = _Numbers({**before[0], **cuts}, seen or before[1])


class _Numbers:
    """From a piece's shape to its elements' numbers."""

    def __init__(self, cuts: Mapping[int, tuple[int, int]], seen: bool) -> None:
        self.cuts, self.seen = cuts, seen

    def __call__(self, shape: torch.Size) -> Tensor:
        numbers = torch.zeros((), dtype=torch.int64)
        counts = [self._cut(dim, len(shape)) for dim in range(len(shape))]
        for dim, (size, (number, count)) in enumerate(zip(shape, counts, strict=True)):
            whole = size * count
            if self.seen and dim == len(shape) - 1:
                whole = shape[dim - 1] * counts[dim - 1][1]
            numbers = numbers[..., None] * whole + torch.arange(number * size, (number + 1) * size)
        return numbers

    def _cut(self, dim: int, ndim: int) -> tuple[int, int]:
        return self.cuts.get(dim, self.cuts.get(dim - ndim, (0, 1)))
