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
tensors are made. Box and Muller's transform turns two uniform numbers into a normal one; exact arithmetic, where no
library's logarithm may decide, takes the sum of four.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from train.numerics import hash_integers, uniform_integers


def initialise(model: nn.Module, *, seed: int, embedding: float, gain: float, zero: Iterable[str], exact: bool) -> None:
    """Fill all parameters of `model`; tensors whose name ends in one of `zero` begin at zero.

    `exact`: from integers alone, the same on every machine.
    """
    endings, values = tuple(zero), summed_values if exact else normal_values
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", *endings)):
                parameter.zero_()
            elif "embedding" in name:
                parameter.copy_(values(tuple(parameter.shape), seed, name) * embedding)
            elif parameter.ndim < 2:
                parameter.fill_(1.0)
            else:
                std = gain / math.sqrt(parameter.shape[1])
                parameter.copy_(values(tuple(parameter.shape), seed, name) * std)


def normal_values(shape: tuple[int, ...], seed: int, name: str) -> Tensor:
    """Standard normal values of `shape`, float32, from a hash of the seed and the name."""
    count = math.prod(shape)
    key = hash_integers(*name.encode())
    bits = uniform_integers(2 * count, seed, key)
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    normal = np.sqrt(-2.0 * np.log(uniform[:count])) * np.cos(2.0 * np.pi * uniform[count:])
    return torch.from_numpy(normal.astype(np.float32).reshape(shape))


def summed_values(shape: tuple[int, ...], seed: int, name: str) -> Tensor:
    """Nearly normal values of `shape`, float32, variance 1 and at most 3.46: sums of four 16-bit integers of a hash."""
    bits = uniform_integers(math.prod(shape), seed, hash_integers(*name.encode()))
    parts = (bits[:, None] >> np.array([0, 16, 32, 48], np.uint64)) & np.uint64(0xFFFF)
    centred = parts.astype(np.int64).sum(1) - 2 * 0xFFFF
    return torch.from_numpy(centred.astype(np.float32).reshape(shape)) * (math.sqrt(3) / 2**16)
