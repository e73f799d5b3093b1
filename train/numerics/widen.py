"""At least single precision, for sums and functions that half of it would spoil."""

import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it is that already."""
    return x if x.dtype is torch.float64 else x.float()
