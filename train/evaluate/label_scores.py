"""What the labels that somebody said are worth, and where 95 % of the draws lie if as many examples are drawn again.

Accuracy and macro F1 (the mean of the F1 of all labels that occur or are said); of answers in a passage SQuAD's exact
match and F1 over words (Rajpurkar et al., 2016). All from 0 to 1. An example is drawn with all its labels.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from train.evaluate.chance import Floats, bootstrap_weights
from train.evaluate.labels import Judged
from train.evaluate.metrics import Scored, same_words, shared_words
from train.model import Purpose

Labels = Sequence[Sequence[str]]
"""Of each example its labels; of a passage the answer."""

Weighed = Callable[[Floats], Floats]
"""How often each example is drawn, (draws, n) -> its score in each draw, (draws,)."""


def accuracy(said: Labels, wanted: Labels) -> Weighed:
    """The share of labels that is right."""
    right = np.array(
        [sum(a == b for a, b in zip(*pair, strict=True)) for pair in zip(said, wanted, strict=True)], float
    )
    count = np.array([len(labels) for labels in wanted], float)
    return lambda weights: (weights @ right) / (weights @ count)


def macro_f1(said: Labels, wanted: Labels) -> Weighed:
    """The mean of 2 TP / (2 TP + FP + FN) over all labels that occur or are said in the draw."""
    rows = sorted(
        (label, number, a == b)
        for number, pair in enumerate(zip(said, wanted, strict=True))
        for a, b in zip(*pair, strict=True)
        for label in (a, b)
    )
    starts = [place for place, row in enumerate(rows) if place == 0 or row[0] != rows[place - 1][0]]
    owner, right = np.array([row[1] for row in rows]), np.array([row[2] for row in rows], float)

    def score(weights: Floats) -> Floats:
        drawn = weights[:, owner]
        both = np.add.reduceat(drawn, starts, axis=1)  # (draws, labels): how often said and wanted
        shared = np.add.reduceat(drawn * right, starts, axis=1)
        found: Floats = (shared / np.maximum(1, both)).sum(1) / (both > 0).sum(1)
        return found

    return score


def _mean(measure: Callable[[str, str], float], said: Labels, wanted: Labels) -> Weighed:
    """Of answers in a passage."""
    values = np.array([measure(a[0], b[0]) for a, b in zip(said, wanted, strict=True)])
    return lambda weights: (weights @ values) / len(values)


Metric = Callable[[Labels, Labels], Weighed]

_OF_LABELS: dict[str, Metric] = {"accuracy": accuracy, "macro_f1": macro_f1}
_METRICS: dict[Purpose, dict[str, Metric]] = {
    Purpose.tag: _OF_LABELS,
    Purpose.classify: _OF_LABELS,
    Purpose.extract: {
        "exact_match": lambda said, wanted: _mean(same_words, said, wanted),
        "word_f1": lambda said, wanted: _mean(shared_words, said, wanted),
    },
}


def score_labels(
    purpose: Purpose, said: Mapping[str, Labels], judged: Sequence[Judged]
) -> dict[str, dict[str, dict[str, float]]]:
    """{who: {metric: {"value", "low", "high"}}}: the purpose's metrics, of all who said something of the examples."""
    wanted, metrics = [one.wanted for one in judged], _METRICS[purpose]
    scores = [metric(labels, wanted) for labels in said.values() for metric in metrics.values()]
    found = bootstrap_weights(len(judged), lambda weights: np.stack([score(weights) for score in scores], 1))
    marks = iter([Scored(*row).record() for row in found.T.tolist()])
    return {who: {name: next(marks) for name in metrics} for who in said}
