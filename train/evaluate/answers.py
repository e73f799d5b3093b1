"""Bits per byte of answers: how many bits a model needs for each byte of what it should answer, the question given.

Each held-out example stands alone, whole. The end token is part of an answer, and costs bits; bytes are of its text.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from train.documents import Example, parse_example
from train.evaluate.bits_per_byte import Measured, Text, report
from train.evaluate.five_gram import FiveGram
from train.model import T5, LanguageModel
from train.records import BadInput, Document, printable
from train.tokens import Chat, Encoded


@dataclass(frozen=True)
class Asked:
    """A held-out example: its tokens with the answer to be given, and with a worse one if it has one.

    `answer`: the answer as a text of its own, behind one token that is not predicted; `opens`: the token with which a
    decoder that has an encoder begins.
    """

    answer: Text
    better: Encoded
    worse: Encoded | None
    opens: int


def read_answers(documents: Iterable[Document], chat: Chat) -> list[Asked]:
    """The held-out examples. Raises BadInput at a document that is none."""
    found = []
    for document in documents:
        example = parse_example(document.text)
        if isinstance(example, str):
            raise BadInput(f"{printable(document.id)}: no example: {example}")
        better, *others = chat.parts(example)
        learned = np.asarray(better.tokens)[np.asarray(better.answers)]
        tokens = np.concatenate([[0], learned]).astype(np.int64)
        answer = replace(Text.of(document, tokens), n_bytes=_size(example, chat))
        found.append(Asked(answer, better, others[0] if others else None, chat.vocabulary.opens))
    return found


def _size(example: Example, chat: Chat) -> int:
    """The bytes of the answers that are measured: of several turns all, where they are learned."""
    earlier = () if example.is_preference or chat.text_to_text else example.prompt
    said = [message.content for message in earlier if message.role == "assistant"]
    return sum(len(text.encode()) for text in [*said, example.answer])


def evaluate_answers(
    model: LanguageModel, asked: Sequence[Asked], advance: Callable[[int], object] = lambda _: None
) -> Measured:
    """Bits per byte of every answer, of every author's and in all; where answers are compared, how often rightly."""
    training = model.training
    model.eval()
    bits, rightly, compared = np.zeros(len(asked)), 0, 0
    with torch.no_grad():
        for number, one in enumerate(asked):
            nats = answer_nats(model, one.better, one.opens)
            bits[number] = nats / math.log(2)
            if one.worse is not None:
                rightly, compared = rightly + (nats < answer_nats(model, one.worse, one.opens)), compared + 1
            advance(len(one.answer.tokens) - 1)
    model.train(training)
    predicted = [np.arange(len(one.answer.tokens)) > 0 for one in asked]
    size = model.config.seq_len
    measure = {"of": "answers", "seq_len": size, "stride": size, "precision": "float32", "left_to_right": True}
    found: dict[str, Any] = report([one.answer for one in asked], bits, predicted) | {"measure": measure}
    if compared:
        found["prefers_the_better"] = round(rightly / compared, 4)
    return Measured(found, predicted)


def answers_yardstick(model: FiveGram, asked: Sequence[Asked]) -> float:
    """Bits per byte of the same answers by a model of the last tokens, the question among them."""
    bits = [model.bits(np.asarray(one.better.tokens))[np.asarray(one.better.answers)[1:]].sum() for one in asked]
    return math.fsum(bits) / sum(one.answer.n_bytes for one in asked)


def answer_nats(model: LanguageModel, part: Encoded, opens: int) -> float:
    """-log p of an answer, its end with it, given what stands before it."""
    device = next(model.parameters()).device

    def row(values: Sequence[int]) -> Tensor:
        return torch.tensor([values], device=device)

    if isinstance(model, T5):
        asked, told = part.asked()
        hidden = model.hidden(row(asked), row([opens, *told[:-1]]))[0]
        return _nats(model, hidden, row(told)[0])
    hidden = model.hidden(row(part.tokens[:-1]))[0]
    counted = row(part.answers[1:])[0]
    return _nats(model, hidden[counted], row(part.tokens[1:])[0][counted])


def _nats(model: LanguageModel, hidden: Tensor, targets: Tensor) -> float:
    losses = functional.cross_entropy(model.head(hidden).float(), targets, reduction="none")
    return float(losses.double().sum())
