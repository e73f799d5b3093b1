"""Which sequences make which step: a pure function, so a loader has no state to lose and any number of ranks agrees."""

import hashlib

import numpy as np
import numpy.typing as npt

from train.numerics import permute

_SITE = 0x6F72646572  # "order": keeps these hashes apart from others of the same seed


def order(seed: int, step: int, *, sequences: int, sequences_per_step: int) -> npt.NDArray[np.int64]:
    """The numbers of the sequences of one step, (sequences_per_step,) int64.

    Every epoch is a permutation of its own of 0..sequences-1; a step may run from one epoch into the next.
    """
    position = np.arange(sequences_per_step, dtype=np.int64) + step * sequences_per_step
    chosen = np.empty(sequences_per_step, np.int64)
    for epoch in np.unique(position // sequences):
        here = position // sequences == epoch
        chosen[here] = permute(position[here] % sequences, sequences, seed, _SITE, int(epoch))
    return chosen


def order_digest(seed: int, steps: int, *, sequences: int, sequences_per_step: int) -> str:
    """Sha256 over the numbers of the sequences of all steps, little-endian int64: the order of the data in one word."""
    total = hashlib.sha256()
    for step in range(steps):
        total.update(order(seed, step, sequences=sequences, sequences_per_step=sequences_per_step).astype("<i8").data)
    return total.hexdigest()
