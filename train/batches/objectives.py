"""Objectives: what is hidden from a model and what it must predict, made from windows on the stream of tokens.

An objective turns windows, (B, W) int64, into an `Example`. All that is random in it follows from each sequence's key,
which is a hash of (seed, step, number of the sequence): a resume draws the same masks, and so does any number of ranks.

| objective         | the model is given                               | and predicts                                  |
|-------------------|--------------------------------------------------|-----------------------------------------------|
| `causal`          | the tokens before                                | each next token                               |
| `masked`          | the text with 15 % of its tokens hidden          | those                                         |
| `span_corruption` | the text with spans replaced by sentinels        | the spans, one token after another            |
| `permutation`     | the tokens that come before in some order        | the last of them in that order                |
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from train.numerics import uniform_rows
from train.records import IGNORE, BadInput
from train.tokens import TokenizerConfig, Vocabulary

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]

_WHOLE = 2.0**64


class ObjectiveName(Enum):
    """What a model learns to predict."""

    causal = "causal"
    masked = "masked"
    span_corruption = "span_corruption"
    permutation = "permutation"


@dataclass(kw_only=True)
class ObjectiveConfig:
    """`share`: of the tokens, how many are predicted (all of them, where the objective is causal).

    `whole_words`: masked hides whole words. `mean_span`: of span_corruption. `left_to_right`: of permutation, the share
    of the sequences whose order is the text's own, so that the model can also be asked for the next word.
    """

    name: ObjectiveName
    share: float = 1.0
    whole_words: bool = False
    mean_span: float = 3.0
    left_to_right: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or (self.share == 1) != (self.name is ObjectiveName.causal):
            raise BadInput(f"objective.share={self.share}: 1 in causal, between 0 and 1 in the others")
        if self.mean_span < 1 or not 0 <= self.left_to_right <= 1:
            raise BadInput("objective.mean_span must be at least 1, objective.left_to_right from 0 to 1")
        if self.whole_words and self.name is not ObjectiveName.masked:
            raise BadInput("objective.whole_words belongs to masked")


@dataclass(frozen=True)
class Example:
    """`inputs`: what the model's `hidden` takes; `targets`: (B, P); `predicted`: (B, W), which tokens those are."""

    inputs: dict[str, npt.NDArray[np.generic]]
    targets: Ints
    predicted: Bools


class Objective(Protocol):
    """`make` for training; `score` for evaluation: the same, or what can be compared with a model of the next token.
    Windows hold two tokens at least.

    `left_to_right`: whether `score` predicts every token but the first from those before it.
    """

    left_to_right: bool

    def window(self, seq_len: int) -> tuple[int, int]:
        """(tokens of text in a sequence, tokens to read for it)."""
        ...

    def make(self, windows: Ints, keys: Keys) -> Example:
        """What is trained on."""
        ...

    def score(self, windows: Ints, keys: Keys) -> Example:
        """What is measured."""
        ...


class Causal:
    """The next token, everywhere (Radford et al., 2018)."""

    left_to_right = True

    def window(self, seq_len: int) -> tuple[int, int]:
        """One more is read than predicted from."""
        return seq_len, seq_len + 1

    def make(self, windows: Ints, keys: Keys) -> Example:
        """Tokens and the tokens after them."""
        predicted = np.ones(windows.shape, bool)
        predicted[:, 0] = False
        return Example({"tokens": windows[:, :-1]}, windows[:, 1:], predicted)

    score = make


class Masked:
    """Hidden tokens; of these 80 % by the mask, 10 % by any token, 10 % not at all (Devlin et al., 2019, 3.1)."""

    left_to_right = False

    def __init__(self, config: ObjectiveConfig, vocabulary: Vocabulary) -> None:
        self._config, self._vocabulary = config, vocabulary
        self._mask, self._cls, self._sep = vocabulary.need("mask"), vocabulary.need("cls"), vocabulary.need("sep")

    def window(self, seq_len: int) -> tuple[int, int]:
        """Two places are the text's frame."""
        if seq_len < 3:
            raise BadInput(f"model.seq_len={seq_len}: a masked text needs 3 at least, two are its frame")
        return seq_len - 2, seq_len - 2

    def make(self, windows: Ints, keys: Keys) -> Example:
        """[CLS] text [SEP], with tokens hidden."""
        size = windows.shape[1]
        draws = uniform_rows(keys, size, 1)
        if self._config.whole_words:
            begins = ~self._vocabulary.continues[windows]
            begins[:, 0] = True
            first = np.maximum.accumulate(np.where(begins, np.arange(size), 0), 1)
            draws = np.take_along_axis(draws, first, 1)
        hidden = (draws < self._config.share * _WHOLE) & ~self._vocabulary.special[windows]
        how, other = uniform_rows(keys, size, 2) % 10, uniform_rows(keys, size, 3) % np.uint64(self._vocabulary.size)
        shown = np.where(hidden & (how < 8), self._mask, windows)
        shown = np.where(hidden & (how == 8), other.astype(np.int64), shown)
        targets = np.where(hidden, windows, IGNORE)
        frame = ((0, 0), (1, 1))
        tokens = np.pad(shown, frame)
        tokens[:, 0], tokens[:, -1] = self._cls, self._sep
        return Example({"tokens": tokens}, np.pad(targets, frame, constant_values=IGNORE), hidden)

    score = make


class SpanCorruption:
    """Spans are taken out, a sentinel in their place; the decoder gives them back (Raffel et al., 2020, 3.1.4)."""

    left_to_right = False

    def __init__(self, config: ObjectiveConfig, vocabulary: Vocabulary) -> None:
        self._config = config
        self._pad, self._end = vocabulary.need("pad"), vocabulary.need("end")
        self._sentinels = np.array(vocabulary.sentinels, np.int64)
        if not len(self._sentinels):
            raise BadInput("objective=span_corruption: the tokenizer has no sentinels (tokenizer=t5 has)")

    def window(self, seq_len: int) -> tuple[int, int]:
        """So many tokens of text, shared out between encoder and decoder."""
        spans = spans_of(self._config, seq_len)[1] if seq_len > 1 else 0
        if seq_len < 2 or spans > len(self._sentinels):
            raise BadInput(f"model.seq_len={seq_len}: {spans} spans, and {len(self._sentinels)} sentinels")
        return seq_len, seq_len

    def make(self, windows: Ints, keys: Keys) -> Example:
        """Every row has as many spans, so all are of one length and nothing is padded."""
        taken, spans = spans_of(self._config, windows.shape[1])
        kept_lengths = _partitions(keys, windows.shape[1] - taken, spans, 4)
        taken_lengths = _partitions(keys, taken, spans, 5)
        lengths = np.stack([kept_lengths, taken_lengths], 2).reshape(len(keys), -1)
        kinds = np.tile([False, True], spans)
        out = np.stack([np.repeat(kinds, row) for row in lengths])  # (B, W): taken out
        sentinels = self._sentinels[:spans]
        tokens = [_replaced(row, away, sentinels) for row, away in zip(windows, out, strict=True)]
        answers = [_replaced(row, ~away, sentinels) for row, away in zip(windows, out, strict=True)]
        targets = np.pad(np.stack(answers), ((0, 0), (0, 1)), constant_values=self._end)
        decoder = np.pad(targets[:, :-1], ((0, 0), (1, 0)), constant_values=self._pad)
        inputs = np.pad(np.stack(tokens), ((0, 0), (0, 1)), constant_values=self._end)
        return Example({"tokens": inputs, "decoder_tokens": decoder}, targets, out)

    def score(self, windows: Ints, keys: Keys) -> Example:
        """The tokens taken out count, sentinels and the end do not."""
        example = self.make(windows, keys)
        counted = ~np.isin(example.targets, self._sentinels)
        counted[:, -1] = False
        return Example(example.inputs, np.where(counted, example.targets, IGNORE), example.predicted)


def spans_of(config: ObjectiveConfig, size: int) -> tuple[int, int]:
    """(tokens taken out, spans) of a text of so many tokens."""
    taken = min(max(1, round(size * config.share)), size - 1)
    return taken, max(1, min(round(taken / config.mean_span), size - taken))


class Permutation:
    """The last tokens of a random order, each from those before it in that order (Yang et al., 2019, 2.2 and 2.3).

    What is not predicted is seen by all; what is predicted is seen by those after it.
    """

    left_to_right = True

    def __init__(self, config: ObjectiveConfig) -> None:
        self._config = config

    def window(self, seq_len: int) -> tuple[int, int]:
        """The tokens predicted stand in the sequence."""
        return seq_len, seq_len

    def make(self, windows: Ints, keys: Keys) -> Example:
        """Some rows keep the text's own order; there any tokens but the first are predicted."""
        size = windows.shape[1]
        count = min(size - 1, max(1, round(size * self._config.share)))  # the first of a text's own order is given
        order = uniform_rows(keys, size, 6).argsort(1, kind="stable")
        own = uniform_rows(keys, 1, 7)[:, 0] < self._config.left_to_right * _WHOLE
        if own.any():
            order[own] = _first_to_front(order[own])
        predict = np.sort(order[:, size - count :], 1)
        rank = order.argsort(1)
        rank = np.where(rank >= size - count, rank, -1)
        sees = rank[:, None, :] < np.where(rank < 0, 0, rank)[:, :, None]
        sees[own] = np.tri(size, size, -1, bool)
        predicted = np.zeros(windows.shape, bool)
        np.put_along_axis(predicted, predict, True, 1)
        inputs = {"tokens": windows, "sees": sees, "predict": predict}
        return Example(inputs, np.take_along_axis(windows, predict, 1), predicted)

    def score(self, windows: Ints, keys: Keys) -> Example:
        """The text's own order, every token but the first: a model of the next token, to be compared with others."""
        batch, size = windows.shape
        sees = np.broadcast_to(np.tri(size, size, -1, bool), (batch, size, size))
        predict = np.broadcast_to(np.arange(1, size), (batch, size - 1))
        predicted = np.ones(windows.shape, bool)
        predicted[:, 0] = False
        return Example({"tokens": windows, "sees": sees, "predict": predict}, windows[:, 1:], predicted)


def check_needs(config: ObjectiveConfig, tokenizer: TokenizerConfig, seq_len: int) -> None:
    """Raises BadInput before anything is made, if the tokenizer will lack a token that the objective needs."""
    if config.name is ObjectiveName.masked and not (tokenizer.mask_token and tokenizer.cls_token):
        raise BadInput("objective=masked needs mask_token, cls_token and sep_token: tokenizer=wordpiece has them")
    if config.name is ObjectiveName.span_corruption and seq_len > 1:
        spans = spans_of(config, seq_len)[1]
        if not tokenizer.pad_token or tokenizer.sentinels < spans:
            raise BadInput(
                f"objective=span_corruption takes {spans} spans out of model.seq_len={seq_len} tokens: it needs a "
                f"pad_token and tokenizer.sentinels of at least {spans} (tokenizer=t5 has 100)"
            )


def build_objective(config: ObjectiveConfig, vocabulary: Vocabulary) -> Objective:
    """The objective of this config. Raises BadInput if the tokenizer lacks a token that it needs."""
    if config.name is ObjectiveName.masked:
        return Masked(config, vocabulary)
    if config.name is ObjectiveName.span_corruption:
        return SpanCorruption(config, vocabulary)
    if config.name is ObjectiveName.permutation:
        return Permutation(config)
    return Causal()


def _first_to_front(order: Ints) -> Ints:
    """The same orders with token 0 first: nothing stands before it that could predict it."""
    rest = order[order != 0].reshape(len(order), -1)
    return np.pad(rest, ((0, 0), (1, 0)))


def _partitions(keys: Keys, total: int, parts: int, site: int) -> Ints:
    """(B, parts): lengths of at least 1 that sum to `total`, all such divisions alike."""
    cuts = uniform_rows(keys, total - 1, site).argsort(1, kind="stable")[:, : parts - 1] + 1
    edges = np.pad(np.sort(cuts, 1), ((0, 0), (1, 1)))
    edges[:, -1] = total
    lengths: Ints = edges[:, 1:] - edges[:, :-1]
    return lengths


def _replaced(tokens: Ints, away: Bools, sentinels: Ints) -> Ints:
    """(W,) without the tokens that go away; the first of each run of these becomes its sentinel."""
    first = away & ~np.concatenate([[False], away[:-1]])
    shown = np.where(first, sentinels[np.maximum(np.cumsum(first) - 1, 0)], tokens)
    kept: Ints = shown[first | ~away]
    return kept
