"""Which sequences make which step: a pure function, so a loader has no state to lose and any number of ranks agrees."""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from train.numerics import permute
from train.records import BadInput

_SITE = 0x6F72646572  # "order": keeps these hashes apart from others of the same seed
_AT_ONCE = 2**16  # numbers that are worked out at once
_MOST, _MOST_EPOCHS = 2**28, 2**16  # sequences and epochs of somebody else's training: minutes, and some GB


def order(seed: int, step: int, *, sequences: int, sequences_per_step: int) -> npt.NDArray[np.int64]:
    """The numbers of the sequences of one step, (sequences_per_step,) int64.

    Every epoch is a permutation of its own of 0..sequences-1; a step may run from one epoch into the next.
    """
    start = step * sequences_per_step
    return np.concatenate(list(_pieces(seed, start, start + sequences_per_step, sequences)))


def whole_order(seed: int, steps: int, *, sequences: int, sequences_per_step: int) -> Iterator[npt.NDArray[np.int64]]:
    """The numbers of the sequences of all steps, one step behind the other, in pieces of int64."""
    return _pieces(seed, 0, steps * sequences_per_step, sequences)


def _pieces(seed: int, start: int, stop: int, sequences: int) -> Iterator[npt.NDArray[np.int64]]:
    """From the place `start` in the whole order to `stop`, epoch after epoch."""
    while start < stop:
        epoch, first = divmod(start, sequences)
        count = min(stop - start, sequences - first, _AT_ONCE)
        yield permute(np.arange(first, first + count, dtype=np.int64), sequences, seed, _SITE, epoch)
        start += count


def order_digest(seed: int, steps: int, *, sequences: int, sequences_per_step: int) -> str:
    """Sha256 over the numbers of the sequences of all steps, little-endian int64: the order of the data in one word."""
    total = hashlib.sha256()
    for piece in whole_order(seed, steps, sequences=sequences, sequences_per_step=sequences_per_step):
        total.update(piece.astype("<i8").data)
    return total.hexdigest()


def check_order(steps: int, *, sequences: int, sequences_per_step: int) -> None:
    """Raises BadInput where the order of somebody else's training would never be worked out: their config says how
    long it is."""
    count = steps * sequences_per_step
    if sequences < 1 or count > _MOST or count > _MOST_EPOCHS * sequences:
        raise BadInput(
            f"{steps} steps of {sequences_per_step} sequences, of which there are {sequences}: at most {_MOST} "
            f"sequences in {_MOST_EPOCHS} epochs are looked at"
        )
