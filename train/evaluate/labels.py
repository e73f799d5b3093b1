"""How well an encoder labels held-out examples: what it says, at how many bits, and the metrics that papers report.

Accuracy and macro F1 (the mean of the F1 of all labels that occur or are said); of answers in a passage SQuAD's exact
match and F1 over words (Rajpurkar et al., 2016). All from 0 to 1. Each example is read by itself, whole.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.documents import Extracted, Labelled, Tagged
from train.evaluate.bits_per_byte import Text, report
from train.evaluate.five_gram import FiveGram
from train.evaluate.metrics import exact_match, word_f1
from train.model import Labeller, Purpose
from train.records import Document
from train.tokens import INSIDE, Marked, Marker

_LONGEST = 30  # tokens of an answer that is looked for
_BEFORE = 4  # tokens that a 5-gram knows


@dataclass(frozen=True)
class Judged:
    """A held-out example, encoded."""

    document: Document
    example: Labelled
    marked: Marked

    @property
    def wanted(self) -> tuple[str, ...]:
        """The right labels; of a passage the answer."""
        return (self.example.answer,) if isinstance(self.example, Extracted) else self.example.labels

    def shown(self, said: Sequence[str]) -> str:
        """The example with what was said of it: the cats/NOUN; text -> label; question -> answer."""
        if isinstance(self.example, Tagged):
            told = iter(said)
            tags = [f"/{next(told)}" if tag is not None else "" for tag in self.example.tags]
            return " ".join(word + tag for word, tag in zip(self.example.words, tags, strict=True))
        asked = self.example.question if isinstance(self.example, Extracted) else self.example.passage
        return f"{asked} -> {said[0]}"


def judge_all(examples: Sequence[tuple[Document, Labelled]], marker: Marker) -> list[Judged]:
    """The examples, encoded."""
    return [Judged(document, example, marker.encode(example)) for document, example in examples]


def evaluate_labels(
    model: Labeller, judged: Sequence[Judged], advance: Callable[[int], object] = lambda _: None
) -> tuple[dict[str, Any], list[str]]:
    """Bits of the right labels for each byte of what they are of, as `report` has it; and the likeliest labels of all
    examples, in one row. A label that no training example has costs no bits and cannot be said."""
    training = model.training
    model.eval()
    bits, said = np.zeros(len(judged)), list[str]()
    with torch.no_grad():
        for number, one in enumerate(judged):
            found, nats = _read(model, one)
            said += found
            bits[number] = nats / math.log(2)
            advance(len(one.marked.tokens))
    model.train(training)
    texts = [_text(one) for one in judged]
    size = model.config.seq_len
    measure = {"of": "labels", "seq_len": size, "stride": size, "precision": "float32", "left_to_right": False}
    predicted = [np.arange(len(text.tokens)) > 0 for text in texts]
    return report(texts, bits, predicted) | {"measure": measure}, said


def _text(one: Judged) -> Text:
    """An example as a text of as many tokens as are predicted, behind one that is not."""
    ends = 2 if isinstance(one.example, Extracted) else 1
    text = Text.of(one.document, np.zeros(1 + ends * len(one.marked.first), np.int64))
    return Text(text.id, text.authors, len(one.example.text.encode()), text.tokens, text.source, text.language)


def _read(model: Labeller, one: Judged) -> tuple[list[str], float]:
    """What the model says of an example, and -log p of what is right, in nats."""
    device, marks = next(model.parameters()).device, np.asarray(one.marked.marks)
    tokens = torch.tensor([one.marked.tokens], device=device)
    if isinstance(one.example, Extracted):
        inside = torch.from_numpy((marks & INSIDE) > 0).to(device)
        costs = -model(tokens, segments=inside.long()[None])[0].float().log_softmax(0).double()  # (n, 2)
        start, stop = _best_span(costs.masked_fill(~inside[:, None], math.inf))
        found = one.example.passage[one.marked.offsets[start][0] : one.marked.offsets[stop][1]]
        return [found], float(costs[one.marked.first[0], 0] + costs[one.marked.last[0], 1])
    logits = model(tokens)[0].float()
    if model.purpose is Purpose.tag:
        logits = logits[one.marked.first]
    costs = -logits.log_softmax(-1).double()  # (labels of the example, all labels)
    right = marks[one.marked.first] - 1
    nats = sum(float(costs[row, label]) for row, label in enumerate(right) if label >= 0)
    return [model.labels[number] for number in costs.argmin(-1).tolist()], nats


def _best_span(costs: Tensor) -> tuple[int, int]:
    """(n, 2), what it costs to begin and to end at each token -> the cheapest answer of up to `_LONGEST` tokens."""
    pairs = costs[:, :1] + costs[None, :, 1]  # (begin, end)
    ones = torch.ones_like(pairs, dtype=torch.bool)
    pairs = pairs.masked_fill(~(ones.triu() & ones.tril(_LONGEST - 1)), math.inf)
    start, stop = divmod(int(pairs.argmin()), len(costs))
    return start, stop


def accuracy(said: Sequence[str], wanted: Sequence[str]) -> float:
    """The share that is right."""
    return sum(a == b for a, b in zip(said, wanted, strict=True)) / max(1, len(wanted))


def macro_f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    """The mean of 2 TP / (2 TP + FP + FN) over all labels that occur or are said."""
    pairs = list(zip(said, wanted, strict=True))
    scores = []
    for label in sorted({*said, *wanted}):
        right = sum(a == b == label for a, b in pairs)
        scores.append(2 * right / sum((a == label) + (b == label) for a, b in pairs))
    return sum(scores) / max(1, len(scores))


Metric = Callable[[Sequence[str], Sequence[str]], float]

_OF_LABELS: dict[str, Metric] = {"accuracy": accuracy, "macro_f1": macro_f1}
METRICS: dict[Purpose, dict[str, Metric]] = {
    Purpose.tag: _OF_LABELS,
    Purpose.classify: _OF_LABELS,
    Purpose.extract: {
        "exact_match": lambda said, wanted: exact_match(said, wanted).value,
        "word_f1": lambda said, wanted: word_f1(said, wanted).value,
    },
}


def score_labels(purpose: Purpose, said: Sequence[str], judged: Sequence[Judged]) -> dict[str, float]:
    """Each of the purpose's metrics."""
    wanted = [label for one in judged for label in one.wanted]
    return {name: metric(said, wanted) for name, metric in METRICS[purpose].items()}


def labels_yardstick(
    train: Sequence[Judged], held_out: Sequence[Judged], vocab_size: int, count: int, order: int
) -> float:
    """Bits per byte of the same labels by an n-gram: each label is a token of its own behind what it is of, and is
    held against the other labels; of an answer in a passage its ends, against all other places in it.

    `count`: how many labels there are.
    """
    model = FiveGram((row for one in train for row in _with_labels(one, vocab_size)), vocab_size + max(2, count), order)

    def nats(places: Sequence[tuple[int, int]], right: int, one: Judged) -> float:
        bits = [float(model.bits(_behind(one, place, token))[-1]) for place, token in places]
        return bits[right] + math.log2(math.fsum(2.0**-b for b in bits))

    total = 0.0
    for one in held_out:
        marks = np.asarray(one.marked.marks)
        if isinstance(one.example, Extracted):
            inside = np.flatnonzero(marks & INSIDE).tolist()
            total += nats([(p - 1, vocab_size) for p in inside], inside.index(one.marked.first[0]), one)
            total += nats([(p, vocab_size + 1) for p in inside], inside.index(one.marked.last[0]), one)
        else:
            for place, last in zip(one.marked.first, one.marked.last, strict=True):
                if marks[place]:
                    total += nats([(last, vocab_size + n) for n in range(count)], int(marks[place]) - 1, one)
    return total / sum(len(one.example.text.encode()) for one in held_out)


def _behind(one: Judged, place: int, token: int) -> Any:
    """The tokens that an n-gram knows up to a place, and `token` behind them."""
    return np.array([*one.marked.tokens[max(0, place - _BEFORE + 1) : place + 1], token], np.int64)


def _with_labels(one: Judged, vocab_size: int) -> list[Any]:
    """What an n-gram learns from: each label behind what it is of; of a passage all of it, the answer's ends in it."""
    tokens, marks = one.marked.tokens, one.marked.marks
    if not isinstance(one.example, Extracted):
        pairs = zip(one.marked.first, one.marked.last, strict=True)
        return [_behind(one, last, vocab_size + marks[place] - 1) for place, last in pairs]
    start, stop = one.marked.first[0], one.marked.last[0] + 1
    ends = [*tokens[:start], vocab_size, *tokens[start:stop], vocab_size + 1, *tokens[stop:]]
    return [np.array(ends, np.int64)]
