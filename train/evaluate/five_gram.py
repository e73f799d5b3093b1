"""The yardstick: an interpolated Kneser-Ney 5-gram over the same tokens and split.

Kneser and Ney, 1995; interpolated as in Chen and Goodman, "An Empirical Study of Smoothing Techniques", 1999, eq. 4.18
to 4.23, one discount per order, n1 / (n1 + 2 n2). The highest order counts occurrences, the lower ones the number of
different tokens that come before.

An n-gram is known by the number of its last n - 1 tokens (its suffix) and its first token: n-grams of every order and
any vocabulary are pairs of integers, sorted once and found by bisection.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ORDER = 5


@dataclass(frozen=True)
class _Level:
    """All n-grams of one order. `keys` (m,): suffix * V + first token, sorted; the rest by n-gram or by context."""

    keys: Ints
    counts: Ints
    context_totals: Ints
    context_types: Ints
    discount: float


class FiveGram:
    """Counts from the training documents' tokens, each document (n,) int64 and beginning with end-of-text."""

    def __init__(self, documents: Iterable[Ints], vocab_size: int, order: int = ORDER) -> None:
        self.vocab_size, self.order = vocab_size, order
        tokens, real = _pad(documents, order)
        self._levels: list[_Level] = []
        suffix = tokens  # the number of the (n-1)-gram that ends at each position; for n = 1 the token itself
        numbers, keys = [tokens], [np.arange(vocab_size, dtype=np.int64)]
        for n in range(2, order + 1):
            unique, suffix = np.unique(suffix * vocab_size + _shift(tokens, n - 1), return_inverse=True)
            keys.append(unique)
            numbers.append(suffix)
        for n in range(order, 0, -1):
            counts = np.bincount(numbers[n - 1][real], minlength=len(keys[n - 1]))
            if n < order:  # how many different tokens come before: the (n+1)-grams that end in this one
                counts = np.bincount(keys[n][self._levels[0].counts > 0] // vocab_size, minlength=len(keys[n - 1]))
            context = _contexts(numbers, n, len(keys[n - 1]), real)
            size = 1 if n == 1 else len(keys[n - 2])
            seen = counts > 0
            level = _Level(
                keys[n - 1],
                counts,
                np.bincount(context[seen], counts[seen], size).astype(np.int64),
                np.bincount(context[seen], minlength=size),
                _discount(counts),
            )
            self._levels.insert(0, level)

    def bits(self, document: Ints) -> Floats:
        """The bits of each token of one document, (n - 1,): its end-of-text at the head is given."""
        tokens, real = _pad([document], self.order)
        at = np.flatnonzero(real)
        probability: Floats = np.full(len(at), 1 / self.vocab_size)
        suffix, context = tokens, np.zeros(len(tokens), np.int64)
        for n, level in enumerate(self._levels, 1):
            if n > 1:
                context = _shift(suffix, 1)
                suffix = _find(level.keys, suffix, _shift(tokens, n - 1), self.vocab_size)
            probability = _interpolate(level, suffix[at], context[at], probability)
        bits: Floats = -np.log2(probability)
        return bits


def _pad(documents: Iterable[Ints], order: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """All documents in one row, each behind order - 1 end-of-text tokens, and which tokens are to be predicted."""
    tokens, real = [], []
    for document in documents:
        head = np.repeat(document[:1], order - 1)
        tokens += [head, document[1:]]
        real += [np.zeros(order - 1, bool), np.ones(len(document) - 1, bool)]
    return np.concatenate(tokens), np.concatenate(real)


def _shift(values: Ints, by: int) -> Ints:
    """What stood `by` places earlier; before the beginning, the first value."""
    return np.concatenate([np.repeat(values[:1], by), values[:-by]])


def _contexts(numbers: list[Ints], n: int, size: int, real: npt.NDArray[np.bool_]) -> Ints:
    """For each n-gram, the number of the (n-1)-gram of its first tokens."""
    context = np.zeros(size, np.int64)
    if n > 1:
        context[numbers[n - 1][real]] = _shift(numbers[n - 2], 1)[real]
    return context


def _discount(counts: Ints) -> float:
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / (once + 2 * twice) if once and twice else 0.75


def _find(keys: Ints, suffix: Ints, first: Ints, vocab_size: int) -> Ints:
    """The numbers of the n-grams (suffix, first token), -1 where there is none."""
    wanted = np.where(suffix >= 0, suffix * vocab_size + first, -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def _interpolate(level: _Level, grams: Ints, contexts: Ints, lower: Floats) -> Floats:
    known = (contexts >= 0) & (level.context_totals[contexts] > 0)
    counts = np.where(grams >= 0, level.counts[grams], 0)
    totals = np.where(known, level.context_totals[contexts], 1)
    own = np.maximum(counts - level.discount, 0) / totals
    share = level.discount * level.context_types[contexts] / totals
    return np.where(known, own + share * lower, lower)


def yardstick_bits_per_byte(model: FiveGram, documents: Iterable[tuple[Ints, int, npt.NDArray[np.bool_]]]) -> float:
    """Bits per byte over (tokens, bytes, which tokens are predicted) of documents, as `evaluate_texts` counts them."""
    total, counted, tokens, n_bytes = 0.0, 0, 0, 0
    for document, size, predicted in documents:
        total += math.fsum(model.bits(document)[predicted[1:]])
        counted += int(predicted[1:].sum())
        tokens += len(document) - 1
        n_bytes += size
    return total * tokens / max(1, counted) / n_bytes
