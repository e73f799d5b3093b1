"""Bits per byte: how many bits the model needs for each byte of a text, whatever its vocabulary.

(A tokenizer that drops spaces or case, as WordPiece does, has less to predict: its figure is not to be compared.)

Each document stands alone, behind one end-of-text token. A model that reads from left to right takes it in windows of
`seq_len` tokens that begin `stride` tokens apart; each token counts once, in the first window that holds it, so that
(but for the first window) it is predicted from at least `seq_len - stride` tokens before it. Where only some tokens are
predicted, from what stands on both sides of them, windows follow one another, the hidden tokens are always the same for
a text, and the bits of one are taken for the bits of all: a counterpart, not the same measure. All in float32, sums in
float64.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from train.batches import Objective
from train.model import LanguageModel
from train.numerics import hash_rows
from train.records import IGNORE, MACHINE, BadInput, Document
from train.tokens import TokenStore

_SITE = 0x6D656173757265  # "measure"


@dataclass(kw_only=True)
class EvaluateConfig:
    """`stride` 0 means half a window. `tokens_while_training` bounds the evaluations during a run."""

    stride: int = field(default=0, metadata=MACHINE)
    batch_size: int = field(default=16, metadata=MACHINE)
    tokens_while_training: int = field(default=16384, metadata=MACHINE)

    def __post_init__(self) -> None:
        if self.stride < 0 or self.batch_size < 1:
            raise BadInput("evaluate.stride must be at least 0 and evaluate.batch_size at least 1")


@dataclass(frozen=True)
class Text:
    """A held-out document: who wrote it, its bytes, and its tokens, (n,) int64, end-of-text first."""

    id: str
    authors: tuple[str, ...]
    n_bytes: int
    tokens: npt.NDArray[np.int64]


def read_texts(store: TokenStore, documents: Iterator[Document]) -> list[Text]:
    """The held-out documents with their tokens."""
    return [
        Text(document.id, document.authors, document.n_bytes, tokens)
        for document, tokens in zip(documents, store.documents(), strict=True)
    ]


@dataclass(frozen=True)
class _Window:
    text: int
    id: str
    start: int
    tokens: npt.NDArray[np.int64]
    counted_from: int


@dataclass(frozen=True)
class Measured:
    """`report`: as published; `predicted`: for each text (n,) bool, the tokens that were predicted."""

    report: dict[str, Any]
    predicted: list[npt.NDArray[np.bool_]]


def evaluate_texts(
    model: LanguageModel,
    objective: Objective,
    texts: Sequence[Text],
    config: EvaluateConfig,
    advance: Callable[[int], object] = lambda _: None,
) -> Measured:
    """Bits per byte of every document, of every author and in all; and how they were measured."""
    length = model.config.seq_len
    stride = config.stride or max(1, length // 2)
    if stride > length:
        raise BadInput(f"evaluate.stride={stride}: at most model.seq_len={length}")
    read = objective.window(length)[0] + (1 if objective.left_to_right else 0)
    if not objective.left_to_right:
        stride = read
    windows = [w for number, text in enumerate(texts) for w in _windows(number, text, read, stride)]
    bits = np.zeros(len(texts))
    predicted = [np.zeros(len(text.tokens), bool) for text in texts]
    training = model.training
    model.eval()
    with torch.no_grad():
        for part in _batches(windows, config.batch_size):
            nats, chosen = _nats(model, objective, part)
            for window, cost, row in zip(part, nats, chosen, strict=True):
                bits[window.text] += cost / math.log(2)
                predicted[window.text][window.start : window.start + len(row)] |= row
                advance(len(window.tokens) - 1 - window.counted_from)
    model.train(training)
    measure = {"seq_len": length, "stride": stride, "precision": "float32", "left_to_right": objective.left_to_right}
    return Measured(report(texts, bits, predicted) | {"measure": measure}, predicted)


def _windows(number: int, text: Text, read: int, stride: int) -> Iterator[_Window]:
    """Windows of up to `read` tokens; the first `counted_from` targets were counted in the window before."""
    done, tokens = 0, text.tokens
    for start in range(0, len(tokens), stride):
        window = tokens[start : start + read]
        if len(window) > 1:
            yield _Window(number, text.id, start, window, max(0, done - start))
        done = start + len(window) - 1
        if done >= len(tokens) - 1:
            return


def _batches(windows: Sequence[_Window], size: int) -> Iterator[list[_Window]]:
    """Windows that follow one another and are equally long: nothing need be padded."""
    for _, group in groupby(windows, lambda window: len(window.tokens)):
        alike = list(group)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def _nats(
    model: LanguageModel, objective: Objective, windows: Sequence[_Window]
) -> tuple[list[float], npt.NDArray[np.bool_]]:
    """Window by window, the counted tokens' summed -log p, and which tokens those are."""
    device = next(model.parameters()).device
    keys = np.concatenate([hash_rows(np.array([w.start]), _SITE, *w.id.encode()) for w in windows])
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
    return [float(row) for row in losses.sum(1)], chosen


def report(
    texts: Sequence[Text], bits: npt.NDArray[np.float64], predicted: Sequence[npt.NDArray[np.bool_]]
) -> dict[str, Any]:
    """Sums by document, by author and in all; where not all tokens are predicted, the bits of one stand for all.

    A document of which no token was predicted has no figure of its own.
    """
    sums = [
        _Sums(float(b), int(row.sum()), len(t.tokens) - 1, t.n_bytes)
        for t, b, row in zip(texts, bits, predicted, strict=True)
    ]
    by_author: dict[str, list[_Sums]] = {}
    for text, part in zip(texts, sums, strict=True):
        for author in text.authors or ("unknown",):
            by_author.setdefault(author, []).append(part)
    whole = _Sums.of(sums)
    return {
        "total": whole.bits_per_byte(),
        "by_author": {
            name: value for name, own in sorted(by_author.items()) if (value := _Sums.of(own).bits_per_byte())
        },
        "by_document": {t.id: value for t, part in zip(texts, sums, strict=True) if (value := part.bits_per_byte())},
        "bytes": whole.n_bytes,
        "tokens": whole.tokens,
        "tokens_predicted": whole.predicted,
    }


@dataclass(frozen=True)
class _Sums:
    """The bits of the tokens predicted, how many those are, how many tokens and bytes there are in all."""

    bits: float
    predicted: int
    tokens: int
    n_bytes: int

    @staticmethod
    def of(parts: "Sequence[_Sums]") -> "_Sums":
        bits = math.fsum(part.bits for part in parts)
        return _Sums(bits, *(sum(getattr(part, name) for part in parts) for name in ("predicted", "tokens", "n_bytes")))

    def bits_per_byte(self) -> float:
        """0 if nothing was predicted."""
        return self.bits * self.tokens / max(1, self.predicted) / self.n_bytes
