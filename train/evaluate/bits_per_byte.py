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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from train.batches import Objective
from train.evaluate.chance import bootstrap
from train.evaluate.likelihood import Window, costs
from train.model import LanguageModel
from train.records import MACHINE, BadInput, Document
from train.tokens import TokenStore


@dataclass(kw_only=True)
class EvaluateConfig:
    """`stride` 0 means half a window. `tokens_while_training` bounds the evaluations during a run.

    `bias`: compare the likelihood of sentences that differ in the group they speak of (bias.py). `tasks`: by their
    names (tasks.py); of each the first `limit` questions, 0 for all.
    """

    stride: int = field(default=0, metadata=MACHINE)
    batch_size: int = field(default=16, metadata=MACHINE)
    tokens_while_training: int = field(default=16384, metadata=MACHINE)
    bias: bool = field(default=True, metadata=MACHINE)
    tasks: list[str] = field(default_factory=list, metadata=MACHINE)
    limit: int = field(default=0, metadata=MACHINE)

    def __post_init__(self) -> None:
        if self.stride < 0 or self.batch_size < 1 or self.limit < 0:
            raise BadInput("evaluate.stride and evaluate.limit must be at least 0, evaluate.batch_size at least 1")


@dataclass(frozen=True)
class Text:
    """A held-out document: who wrote it, its bytes, and its tokens, (n,) int64, end-of-text first."""

    id: str
    authors: tuple[str, ...]
    n_bytes: int
    tokens: npt.NDArray[np.int64]
    source: str = ""
    language: str = ""

    @staticmethod
    def of(document: Document, tokens: npt.NDArray[np.int64]) -> "Text":
        """A document with its tokens."""
        return Text(document.id, document.authors, document.n_bytes, tokens, document.source, document.language)


def read_texts(store: TokenStore, documents: Iterable[Document]) -> list[Text]:
    """The held-out documents with their tokens."""
    return [Text.of(document, tokens) for document, tokens in zip(documents, store.documents(), strict=True)]


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
    """Bits per byte of every document, by source, language and author, and in all; and how they were measured."""
    length = model.config.seq_len
    stride = config.stride or max(1, length // 2)
    if stride > length:
        raise BadInput(f"evaluate.stride={stride}: at most model.seq_len={length}")
    if not objective.left_to_right:
        stride = objective.window(length)[0]
    bits, predicted = sum_bits(model, objective, texts, stride, config.batch_size, advance)
    measure = {"seq_len": length, "stride": stride, "precision": "float32", "left_to_right": objective.left_to_right}
    return Measured(report(texts, bits, predicted) | {"measure": measure}, predicted)


def sum_bits(
    model: LanguageModel,
    objective: Objective,
    texts: Sequence[Text],
    stride: int,
    batch_size: int,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[npt.NDArray[np.float64], list[npt.NDArray[np.bool_]]]:
    """Of each text the bits of its predicted tokens, summed, and (n,) bool, which those are."""
    read = objective.window(model.config.seq_len)[0] + (1 if objective.left_to_right else 0)
    windows = [w for number, text in enumerate(texts) for w in _windows(number, text, read, stride)]
    bits, predicted = np.zeros(len(texts)), [np.zeros(len(text.tokens), bool) for text in texts]
    for window, cost in costs(model, objective, windows, batch_size):
        bits[window.text] += cost.nats / math.log(2)
        predicted[window.text][window.start : window.start + len(cost.predicted)] |= cost.predicted
        advance(len(window.tokens) - 1 - window.counted_from)
    return bits, predicted


def _windows(number: int, text: Text, read: int, stride: int) -> Iterator[Window]:
    """Windows of up to `read` tokens; the first `counted_from` targets were counted in the window before."""
    done, tokens = 0, text.tokens
    for start in range(0, len(tokens), stride):
        window = tokens[start : start + read]
        if len(window) > 1:
            yield Window(number, start, window, max(0, done - start), text.id)
        done = start + len(window) - 1
        if done >= len(tokens) - 1:
            return


# What scores are told apart by, and how a document says it.
_KINDS: dict[str, Callable[[Text], tuple[str, ...]]] = {
    "by_source": lambda text: (text.source or "unknown",),
    "by_language": lambda text: (text.language or "unknown",),
    "by_author": lambda text: text.authors or ("unknown",),
}


def report(
    texts: Sequence[Text], bits: npt.NDArray[np.float64], predicted: Sequence[npt.NDArray[np.bool_]]
) -> dict[str, Any]:
    """Sums by document, author, language, source and in all; where not all tokens are predicted, the bits of one stand
    for all. `intervals`: in which 95 % of the draws lie if as many documents are drawn again, where there are two.

    A document of which no token was predicted has no figure of its own.
    """
    sums = np.array(
        [(float(b), row.sum(), len(t.tokens) - 1, t.n_bytes) for t, b, row in zip(texts, bits, predicted, strict=True)],
        float,
    ).reshape(-1, 4)
    whole = sums.sum(0)
    found: dict[str, Any] = {"total": float(_bits_per_byte(whole))}
    intervals: dict[str, Any] = {"total": _interval(sums)}
    for kind, names_of in _KINDS.items():
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            for name in names_of(text):
                places.setdefault(name, []).append(place)
        groups = {name: sums[own] for name, own in sorted(places.items())}
        found[kind] = {name: value for name, own in groups.items() if (value := float(_bits_per_byte(own.sum(0))))}
        intervals[kind] = {name: _interval(own) for name, own in groups.items() if len(own) > 1 and name in found[kind]}
    found["by_document"] = {
        t.id: value for t, row in zip(texts, sums, strict=True) if (value := float(_bits_per_byte(row)))
    }
    counts = {"bytes": int(whole[3]), "tokens": int(whole[2]), "tokens_predicted": int(whole[1])}
    return found | {"intervals": intervals} | counts


def _bits_per_byte(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(..., 4), the bits of the tokens predicted, how many those are, all tokens, bytes -> (...); 0 if none was."""
    bits, predicted, tokens, n_bytes = np.moveaxis(sums, -1, 0)
    found: npt.NDArray[np.float64] = bits * tokens / np.maximum(1, predicted) / n_bytes
    return found


def _interval(sums: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Of documents, (n, 4); of a single one nothing is known of chance."""
    low, high = bootstrap(sums, _bits_per_byte)
    return {"low": low, "high": high, "documents": len(sums)}
