"""How likely a model finds tokens: the sum of -log p over those that count, window by window, in float32 and float64.

Windows of one length are read together and nothing is padded, so that a sum does not depend on what else is in the
batch (but for the rounding of float32 sums in another order).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from train.batches import Causal, Objective, ObjectiveConfig, ObjectiveName, Permutation
from train.model import LanguageModel
from train.numerics import hash_rows
from train.records import IGNORE, BadInput

Ints = npt.NDArray[np.int64]

_SITE = 0x6D656173757265  # "measure"


@dataclass(frozen=True)
class Window:
    """Tokens that are read at once, (n,) int64, the place `start` of text number `text`.

    `counted_from`: so many of its n - 1 targets do not count, those were given. `key`: what is hidden in it, where not
    all is predicted, follows from this.
    """

    text: int
    start: int
    tokens: Ints
    counted_from: int
    key: str = ""


@dataclass(frozen=True)
class Cost:
    """Of a window: its summed -log p in nats, which tokens were counted, (n,) bool, whether all were the likeliest."""

    nats: float
    predicted: npt.NDArray[np.bool_]
    is_greedy: bool


@contextmanager
def at_rest(model: LanguageModel) -> Iterator[None]:
    """Without dropout and gradients; afterwards as it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def costs(
    model: LanguageModel, objective: Objective, windows: Sequence[Window], batch_size: int
) -> Iterator[tuple[Window, Cost]]:
    """Each window with its cost, in their order. Windows that follow one another and are equally long make batches."""
    for _, group in groupby(windows, lambda window: len(window.tokens)):
        alike = list(group)
        for start in range(0, len(alike), batch_size):
            part = alike[start : start + batch_size]
            with at_rest(model):
                found = _costs(model, objective, part)
            yield from zip(part, found, strict=True)


def _costs(model: LanguageModel, objective: Objective, windows: Sequence[Window]) -> list[Cost]:
    device = next(model.parameters()).device
    keys = np.concatenate([hash_rows(np.array([w.start]), _SITE, *w.key.encode()) for w in windows])
    example = objective.score(np.stack([window.tokens for window in windows]), keys)
    targets, chosen = example.targets.copy(), example.predicted.copy()
    for row, window in enumerate(windows):
        if objective.left_to_right:  # the targets are tokens 1, 2, ... in order
            targets[row, : window.counted_from] = IGNORE
            chosen[row, : window.counted_from + 1] = False
    inputs = {name: torch.from_numpy(array.copy()).to(device) for name, array in example.inputs.items()}
    wanted = torch.from_numpy(targets).to(device)
    counted = wanted != IGNORE
    logits = model.head(model.hidden(**inputs)[counted]).float()
    losses = torch.zeros(wanted.shape, dtype=torch.float64, device=device)
    losses[counted] = functional.cross_entropy(logits, wanted[counted], reduction="none").double()
    missed = torch.zeros(wanted.shape, dtype=torch.bool, device=device)
    missed[counted] = logits.argmax(-1) != wanted[counted]
    rows = zip(losses.sum(1).tolist(), chosen, (~missed.any(1)).tolist(), strict=True)
    return [Cost(nats, row, is_greedy) for nats, row, is_greedy in rows]


def left_to_right(model: LanguageModel) -> Objective:
    """The objective whose `score` predicts each token from those before it. Raises BadInput where a model cannot."""
    if ObjectiveName.causal.value == model.OBJECTIVE:
        return Causal()
    if ObjectiveName.permutation.value == model.OBJECTIVE:
        return Permutation(ObjectiveConfig(name=ObjectiveName.permutation, share=0.5))
    raise BadInput(f"a {model.config.name} does not read from left to right, as tasks ask it to")


def log_likelihoods(
    model: LanguageModel, pairs: Sequence[tuple[Ints, Ints]], batch_size: int
) -> list[tuple[float, bool]]:
    """log p, in nats, of each continuation (m,) after its context (n,), n and m at least 1; and whether each of its
    tokens is the likeliest. Of a context that is too long the end is read.

    Raises BadInput at a continuation that does not fit a window, and at a model that does not read from left to right.
    """
    objective, most = left_to_right(model), model.config.seq_len + 1
    windows = []
    for number, (context, continuation) in enumerate(pairs):
        if not len(context) or not 0 < len(continuation) < most:
            raise BadInput(f"a text of {len(continuation)} tokens is to be judged, and a window holds {most - 1}")
        tokens = np.concatenate([context, continuation])[-most:]
        windows.append(Window(number, 0, tokens, len(tokens) - len(continuation) - 1))
    windows.sort(key=lambda window: len(window.tokens))
    found = [(-math.inf, False)] * len(windows)
    for window, cost in costs(model, objective, windows, batch_size):
        found[window.text] = -cost.nats, cost.is_greedy
    return found
