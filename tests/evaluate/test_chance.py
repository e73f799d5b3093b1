"""Error bars: against the normal distribution where documents are many, and against a table where questions are few."""

import numpy as np
import pytest

from train.evaluate import bootstrap
from train.evaluate.chance import share_interval


def test_the_bootstrap_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high = bootstrap(values[:, None], lambda sums: sums[:, 0] / 400)
    reach = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - reach, abs=0.03 * reach + 0.01)
    assert high == pytest.approx(values.mean() + reach, abs=0.03 * reach + 0.01)


def test_a_ratio_is_drawn_by_documents() -> None:
    """Bits and bytes of one document stay together: where all have the same ratio, chance can do nothing."""
    sizes = np.random.default_rng(1).integers(10, 1000, 7).astype(float)
    assert bootstrap(np.stack([1.5 * sizes, sizes], 1), lambda s: s[:, 0] / s[:, 1]) == pytest.approx((1.5, 1.5))


def test_draws_in_parts_are_the_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(2).normal(size=(13, 1))
    whole = bootstrap(rows, lambda sums: sums[:, 0])
    monkeypatch.setattr("train.evaluate.chance._AT_ONCE", 1000)
    assert bootstrap(rows, lambda sums: sums[:, 0]) == whole


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_share(successes: int, count: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3."""
    assert share_interval(successes, count) == pytest.approx((low, high), abs=1e-4)
