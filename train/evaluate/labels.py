"""What an encoder says of held-out examples, and at how many bits. Each example is read by itself, whole."""

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


@dataclass(frozen=True)
class Said:
    """What a model says of an example, and what it all but says: the same with the label turned whose runner-up is
    nearest, `behind` nats less likely. Of a passage the one label is the answer."""

    labels: tuple[str, ...]
    almost: tuple[str, ...]
    behind: float


def judge_all(examples: Sequence[tuple[Document, Labelled]], marker: Marker) -> list[Judged]:
    """The examples, encoded."""
    return [Judged(document, example, marker.encode(example)) for document, example in examples]


def evaluate_labels(
    model: Labeller, judged: Sequence[Judged], advance: Callable[[int], object] = lambda _: None
) -> tuple[dict[str, Any], list[Said]]:
    """Bits of the right labels for each byte of what they are of, as `report` has it; and what is said of each example.
    A label that no training example has costs no bits and cannot be said."""
    training = model.training
    model.eval()
    bits, said = np.zeros(len(judged)), list[Said]()
    with torch.no_grad():
        for number, one in enumerate(judged):
            found, nats = _read(model, one)
            said.append(found)
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


def _read(model: Labeller, one: Judged) -> tuple[Said, float]:
    """What the model says of an example, and -log p of what is right, in nats."""
    device, marks = next(model.parameters()).device, np.asarray(one.marked.marks)
    tokens = torch.tensor([one.marked.tokens], device=device)
    if isinstance(one.example, Extracted):
        inside = torch.from_numpy((marks & INSIDE) > 0).to(device)
        costs = -model(tokens, segments=inside.long()[None])[0].float().log_softmax(0).double()  # (n, 2)
        found = _best_span(one, costs.masked_fill(~inside[:, None], math.inf))
        return found, float(costs[one.marked.first[0], 0] + costs[one.marked.last[0], 1])
    logits = model(tokens)[0].float()
    if model.purpose is Purpose.tag:
        logits = logits[one.marked.first]
    costs = -logits.log_softmax(-1).double()  # (labels of the example, all labels)
    right = marks[one.marked.first] - 1
    nats = sum(float(costs[row, label]) for row, label in enumerate(right) if label >= 0)
    return _best_labels(model.labels, costs), nats


def _best_labels(labels: Sequence[str], costs: Tensor) -> Said:
    """(n, labels), what each label costs at each place -> the cheapest ones."""
    first, second, gaps = _two_best(costs)
    place = int(gaps.argmin())
    found = tuple(labels[number] for number in first.tolist())
    return Said(found, (*found[:place], labels[int(second[place])], *found[place + 1 :]), float(gaps[place]))


def _best_span(one: Judged, costs: Tensor) -> Said:
    """(n, 2), what it costs to begin and to end at each token -> the cheapest answer of up to `_LONGEST` tokens."""
    assert isinstance(one.example, Extracted)
    pairs = costs[:, :1] + costs[None, :, 1]  # (begin, end)
    ones = torch.ones_like(pairs, dtype=torch.bool)
    first, second, gap = _two_best(pairs.masked_fill(~(ones.triu() & ones.tril(_LONGEST - 1)), math.inf).view(-1))
    ends = [divmod(int(number), len(costs)) for number in (first, second)]
    texts = [one.example.passage[one.marked.offsets[a][0] : one.marked.offsets[b][1]] for a, b in ends]
    return Said((texts[0],), (texts[1],), float(gap))


def _two_best(costs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(..., n) -> (...) each: the number of the cheapest, of the next, and how much more that costs."""
    first = costs.argmin(-1, keepdim=True)
    rest = costs.scatter(-1, first, math.inf)
    return first[..., 0], rest.argmin(-1), rest.amin(-1) - costs.gather(-1, first)[..., 0]


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
