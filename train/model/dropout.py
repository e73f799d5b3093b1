"""Dropout whose masks are a pure function: (the sequence's key, the place in the model, the element) -> kept or not.

Srivastava et al., "Dropout", 2014. torch's own draws from a state, which a resume would have to save, other ranks would
not share, and other processors would not repeat. Here a 32-bit integer hash decides ("lowbias32", Wellons, 2018).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

_MASK = 0xFFFFFFFF


class Dropout(nn.Module):
    """Zero a share `p` of the elements and scale up the rest; `p` is rounded to a multiple of 1/256.

    `number_elements`: where what comes in is a piece of a larger tensor, the numbers of its elements in that one, from
    its shape without B.
    """

    site: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = round(p * 256)
        self.number_elements: Callable[[torch.Size], Tensor] | None = None
        self.register_buffer("site", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """`x`: (B, ...); `noise`: (B,) int64 keys, or None to let everything through."""
        if noise is None or not self.threshold:
            return x
        keys = _mix((noise ^ (self.site * 0x9E3779B9)) & _MASK)
        if self.number_elements is None:
            counter = torch.arange(x[0].numel(), device=x.device)
        else:
            counter = self.number_elements(x.shape[1:]).flatten().to(x.device)
        bits = _mix((keys[:, None] + counter * 0x85EBCA6B) & _MASK) & 255
        kept = (bits >= self.threshold).view(x.shape)
        return x * kept.to(x.dtype) * (256 / (256 - self.threshold))


def number_dropouts(model: nn.Module) -> None:
    """Give every dropout of a model its place, so that no two draw the same masks."""
    found = [module for module in model.modules() if isinstance(module, Dropout)]
    for number, module in enumerate(found):
        module.site.fill_(number + 1)


def has_dropout(model: nn.Module) -> bool:
    """Whether any part of the model drops anything."""
    return any(module.threshold for module in model.modules() if isinstance(module, Dropout))


def _mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit integers, held in int64."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK
    return x ^ (x >> 16)
