"""How far the scores of trainings that differ in their seed lie apart, and where another one's is to be expected."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# The 97.5 % point of Student's t for 2, 3, ... degrees of freedom.
_T = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
MOST_SEEDS = len(_T) + 2


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
