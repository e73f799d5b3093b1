"""Bits per byte: how many bits the model needs for each byte of a text, whatever its vocabulary.

(A tokenizer that drops spaces or case, as WordPiece does, has less to predict: its figure is not to be compared.)

Each document stands alone, behind one end-of-text token. It is read in windows of `seq_len` tokens that begin `stride`
tokens apart; each token counts once, in the first window that holds it, so that (but for the first window) it is
predicted from at least `seq_len - stride` tokens before it. All in float32, sums in float64.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from train.model import Llama
from train.records import MACHINE, BadInput, Document
from train.tokens import TokenStore


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
    tokens: npt.NDArray[np.int64]
    counted_from: int


def evaluate_texts(
    model: Llama, texts: Sequence[Text], config: EvaluateConfig, advance: Callable[[int], object] = lambda _: None
) -> dict[str, Any]:
    """Bits per byte of every document, of every author and in all; and how they were measured."""
    length = model.config.seq_len
    stride = config.stride or max(1, length // 2)
    if stride > length:
        raise BadInput(f"evaluate.stride={stride}: at most model.seq_len={length}")
    windows = [w for number, text in enumerate(texts) for w in _windows(number, text.tokens, length, stride)]
    bits = np.zeros(len(texts))
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(windows), config.batch_size):
            part = windows[start : start + config.batch_size]
            for window, nats in zip(part, _nats(model, part, length, device), strict=True):
                bits[window.text] += nats / math.log(2)
                advance(len(window.tokens) - 1 - window.counted_from)
    model.train(training)
    return _report(texts, bits) | {"measure": {"seq_len": length, "stride": stride, "precision": "float32"}}


def _windows(number: int, tokens: npt.NDArray[np.int64], length: int, stride: int) -> Iterator[_Window]:
    """Windows of up to length + 1 tokens; the first `counted_from` targets were counted in the window before."""
    done = 0
    for start in range(0, max(1, len(tokens) - 1), stride):
        window = tokens[start : start + length + 1]
        yield _Window(number, window, done - start)
        done = start + len(window) - 1
        if done >= len(tokens) - 1:
            return


def _nats(model: Llama, windows: Sequence[_Window], length: int, device: torch.device) -> list[float]:
    """The counted tokens' summed -log p, window by window. Short windows are padded on the right, where causal
    attention does not look."""
    inputs = np.zeros((len(windows), length), np.int64)
    targets = np.full((len(windows), length), -100, np.int64)
    for row, window in enumerate(windows):
        n = len(window.tokens) - 1
        inputs[row, :n] = window.tokens[:-1]
        targets[row, window.counted_from : n] = window.tokens[1 + window.counted_from :]
    wanted = torch.from_numpy(targets).to(device)
    counted = wanted != -100
    logits = model.head(model.hidden(torch.from_numpy(inputs).to(device))[counted]).float()
    losses = torch.zeros(wanted.shape, dtype=torch.float64, device=device)
    losses[counted] = functional.cross_entropy(logits, wanted[counted], reduction="none").double()
    return [float(row) for row in losses.sum(1)]


def _report(texts: Sequence[Text], bits: npt.NDArray[np.float64]) -> dict[str, Any]:
    by_author: dict[str, list[float]] = {}
    for text, value in zip(texts, bits, strict=True):
        for author in text.authors or ("unknown",):
            sums = by_author.setdefault(author, [0.0, 0])
            sums[0] += value
            sums[1] += text.n_bytes
    return {
        "total": float(bits.sum() / sum(text.n_bytes for text in texts)),
        "by_author": {author: value / n_bytes for author, (value, n_bytes) in sorted(by_author.items())},
        "by_document": {text.id: float(value / text.n_bytes) for text, value in zip(texts, bits, strict=True)},
        "bytes": sum(text.n_bytes for text in texts),
        "tokens": int(sum(len(text.tokens) - 1 for text in texts)),
    }
