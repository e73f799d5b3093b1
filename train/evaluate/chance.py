"""What chance alone could do to a score: the choice of documents, of questions, of the seed."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from train.numerics import uniform_integers

Floats = npt.NDArray[np.float64]

DRAWS = 10_000
Z = 1.959964  # the 97.5 % point of the normal distribution
_AT_ONCE = 2**17  # documents drawn at once: what a processor keeps near

# The 97.5 % point of Student's t for 2, 3, ... degrees of freedom.
_T = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
MOST_SEEDS = len(_T) + 2


def bootstrap(rows: Floats, statistic: Callable[[Floats], Floats]) -> tuple[float, float]:
    """Between which values 95 % of the draws lie, if as many documents are drawn again from those there are, with
    repetition, ten thousand times (Efron, 1979; of differences, the paired bootstrap: Koehn, 2004).

    `rows`: (n, k), what is summed over documents; `statistic`: sums (draws, k) -> (draws,). The draws are always the
    same.
    """
    found = [statistic(rows[drawn].sum(1)) for drawn in _drawn_again(len(rows))]
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)


def bootstrap_weights(count: int, statistics: Callable[[Floats], Floats]) -> Floats:
    """The same draws for several statistics, which need be no function of sums: (3, k), each one's value, low and high.

    `statistics`: how often each of the `count` documents is drawn, (draws, count) -> (draws, k).
    """
    found = [statistics(_how_often(drawn)) for drawn in _drawn_again(count)]
    value = statistics(np.ones((1, count)))
    return np.concatenate([value, np.quantile(np.concatenate(found), [0.025, 0.975], axis=0)])


def _drawn_again(count: int) -> Iterator[npt.NDArray[np.int64]]:
    """The numbers of the documents in each draw, (draws, count), some draws at a time."""
    step = max(1, _AT_ONCE // count)
    for start in range(0, DRAWS, step):
        size = min(step, DRAWS - start)
        draws = uniform_integers(size * count, 0, count, start=start * count) % np.uint64(count)
        yield draws.astype(np.int64).reshape(size, count)


def _how_often(drawn: npt.NDArray[np.int64]) -> Floats:
    """(draws, count), the numbers that were drawn -> (draws, count), how often each was."""
    draws, count = drawn.shape
    places = drawn + count * np.arange(draws)[:, None]
    return np.bincount(places.ravel(), minlength=drawn.size).reshape(draws, count).astype(float)


def share_interval(successes: int, count: int) -> tuple[float, float]:
    """Where a share lies with 95 % probability, of so many of `count` independent trials: Wilson, "Probable Inference,
    the Law of Succession, and Statistical Inference", 1927."""
    share, weight = successes / count, Z**2 / count
    middle = (share + weight / 2) / (1 + weight)
    reach = Z / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def prediction_bounds(scores: Sequence[float]) -> dict[str, Any]:
    """Where a further training's score lies with 95 % probability, if scores are normal: mean and t s sqrt(1 + 1/n).

    Hahn and Meeker, "Statistical Intervals", 1991, section 4.7. `scores`: from 3 to `MOST_SEEDS` of them.
    """
    count, mean = len(scores), statistics.fmean(scores)
    reach = _T[count - 3] * statistics.stdev(scores) * math.sqrt(1 + 1 / count)
    return {"scores": list(scores), "low": mean - reach, "high": mean + reach, "probability": 0.95}


def is_within(score: float, results: Mapping[str, Any]) -> bool:
    """Whether a score lies within the bounds that a release's results state, if its scores do give these."""
    stated, made = results["seeds"], prediction_bounds([float(one) for one in results["seeds"]["scores"]])
    honest = all(math.isclose(stated[end], made[end], abs_tol=1e-9) for end in ("low", "high"))
    return honest and made["scores"][0] == results["bits_per_byte"]["total"] and made["low"] <= score <= made["high"]
