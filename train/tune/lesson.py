"""What the loop is given to tune a model: the model as it begins, the sequences, and the loss."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from train.batches import Batches
from train.documents import Example, Rule, parse_example, parse_labelled
from train.loss import Loss, NextToken
from train.model import T5, Decoder, Labeller, LanguageModel, Purpose, XLNet
from train.records import BadInput, Document
from train.tokens import Chat, ExampleStore, Marker, Vocabulary
from train.tune.adapters import adapt
from train.tune.config import TuneConfig, TuneName
from train.tune.marks import Marks, Span
from train.tune.packing import Packed, TextToText, pack_examples
from train.tune.preferences import Preference


class Lesson(NamedTuple):
    """The three things in which a tuning differs from a training from nothing."""

    model: LanguageModel
    sequences: Batches
    loss: Loss


def lesson_of(
    config: TuneConfig, model: LanguageModel, vocabulary: Vocabulary, store: ExampleStore, seed: int
) -> Lesson:
    """Tune `model`, which has the base's weights, on the examples in `store`."""
    size, compares = model.config.seq_len, config.name is TuneName.dpo
    if config.purpose:
        labels = store.labels()
        ends: Loss = Span() if config.purpose is Purpose.extract else NextToken()
        rows = Marks(store, vocabulary.need("pad"), config.purpose, left=isinstance(model, XLNet))
        return Lesson(Labeller(model, config.purpose, labels).begin(seed), rows, ends)
    if isinstance(model, T5) and compares:
        raise BadInput("tune=dpo: compares the answers of a decoder; a t5 is tuned by sft or lora")
    if isinstance(model, Decoder):
        model.within_documents = True  # nothing is seen of the example before
        sequences: Batches = Packed(store, size, parts=2 if compares else 1)
    else:
        sequences = TextToText(store, size, vocabulary.need("pad"))
    loss = Preference(model, config.beta) if compares else NextToken()
    if config.name is TuneName.lora:
        adapt(model, config, seed)
    return Lesson(model, sequences, loss)


def rows_of(config: TuneConfig, lengths: npt.NDArray[np.int64], seq_len: int, *, text_to_text: bool) -> list[list[int]]:
    """Which examples stand in each sequence; `lengths`: of the parts in the store."""
    if text_to_text or config.purpose:
        return [[number] for number in range(len(lengths))]
    return pack_examples(lengths, 2 if config.name is TuneName.dpo else 1, seq_len)


def rules_of(config: TuneConfig, chat: Chat, seq_len: int) -> Sequence[Rule]:
    """What leaves a document out before the usual rules do: one that is no example for this tuning, or is too long."""
    compares = config.name is TuneName.dpo

    def read(text: str) -> Example:
        found = parse_example(text)
        if isinstance(found, str):
            raise BadInput(found)
        if found.is_preference != compares:
            wants = "prompt, chosen and rejected" if compares else "messages"
            raise BadInput(f"tune={config.name.value} learns from {wants}")
        return found

    def size(text: str) -> int:
        parts = chat.parts(read(text))
        if chat.text_to_text:
            return max(len(side) for part in parts for side in part.asked())
        return sum(len(part.tokens) - 1 for part in parts)  # the last token is predicted, not read

    return _rules(size, seq_len)


def label_rules(purpose: Purpose, marker: Marker, seq_len: int) -> Sequence[Rule]:
    """What leaves a document out before the usual rules do: one that is no example for this purpose, or is too long."""

    def size(text: str) -> int:
        found = parse_labelled(text)
        if isinstance(found, str):
            raise BadInput(found)
        if found.purpose != purpose.value:
            wants = {"tag": "words and tags", "classify": "a label", "extract": "an answer in a passage"}[purpose.value]
            raise BadInput(f"tune={purpose.value} learns from {wants}")
        return len(marker.encode(found).tokens)

    return _rules(size, seq_len)


def _rules(size: Callable[[str], int], seq_len: int) -> Sequence[Rule]:
    """`size`: the tokens of an example in a document's text; raises BadInput where there is none."""

    def example(document: Document) -> tuple[str, str] | None:
        try:
            size(document.text)
        except BadInput as error:
            return "", str(error)
        return None

    def length(document: Document) -> tuple[str, str] | None:
        tokens = size(document.text)
        return (str(tokens), f"tokens, more than model.seq_len={seq_len}") if tokens > seq_len else None

    return [Rule("example", 1, example, whole=True), Rule("example_length", 1, length, whole=True)]
