"""Initial weights as a table: for each kind of tensor, its standard deviation.

| tensor                     | initial values                               |
|----------------------------|----------------------------------------------|
| norm weights               | 1                                            |
| biases                     | 0                                            |
| embeddings                 | normal, `embedding`                          |
| matrices into a block      | normal, `gain` / sqrt(columns)               |
| matrices out of a block    | 0: every block begins as the identity        |
| output head (untied)       | 0: the first loss is log(vocab_size)         |

Values are drawn from a hash of (seed, name) and the element's number, so they do not depend on the order in which
tensors are made, and a process that holds a piece of a tensor makes that piece alone. Box and Muller's transform turns
two uniform numbers into a normal one; exact arithmetic, where no library's logarithm may decide, takes the sum of four.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from train.numerics import Piece, hash_integers, integers_at, local, piece_of


def initialise(model: nn.Module, *, seed: int, embedding: float, gain: float, zero: Iterable[str], exact: bool) -> None:
    """Fill all parameters of `model`; tensors whose name ends in one of `zero` begin at zero.

    `exact`: from integers alone, the same on every machine.
    """
    endings, values = tuple(zero), summed_values if exact else normal_values
    for name, parameter in model.named_parameters():
        here, piece = local(parameter), piece_of(parameter)
        if name.endswith(("bias", *endings)):
            here.zero_()
        elif "embedding" in name:
            here.copy_(values(piece, seed, name) * embedding)
        elif len(piece.whole) < 2:
            here.fill_(1.0)
        else:
            here.copy_(values(piece, seed, name) * (gain / math.sqrt(piece.whole[1])))


def normal_values(piece: Piece, seed: int, name: str) -> Tensor:
    """Standard normal values of a piece of a tensor, float32, from a hash of the seed and the name."""
    numbers, key = _numbers(piece), hash_integers(*name.encode())
    first, second = (
        ((integers_at(at, seed, key) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        for at in (numbers, numbers + np.uint64(math.prod(piece.whole)))
    )
    normal = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)
    return torch.from_numpy(normal.astype(np.float32))


def summed_values(piece: Piece, seed: int, name: str) -> Tensor:
    """Nearly normal values of a piece, float32, variance 1 and at most 3.46: sums of four 16-bit integers of a hash."""
    bits = integers_at(_numbers(piece), seed, hash_integers(*name.encode()))
    parts = (bits[..., None] >> np.array([0, 16, 32, 48], np.uint64)) & np.uint64(0xFFFF)
    centred = parts.astype(np.int64).sum(-1) - 2 * 0xFFFF
    return torch.from_numpy(centred.astype(np.float32)) * (math.sqrt(3) / 2**16)


def _numbers(piece: Piece) -> npt.NDArray[np.uint64]:
    """The numbers that the elements of a piece have in the whole, uint64 of the piece's shape."""
    rows, *columns = piece.spans
    width = np.uint64(math.prod(piece.whole[1:]))
    down = np.arange(rows.start, rows.stop, dtype=np.uint64)
    if not columns:
        return down
    return down[:, None] * width + np.arange(columns[0].start, columns[0].stop, dtype=np.uint64)
