"""Labels on disk: the tokens of what an encoder reads, framed as its tokenizer frames a text, and a mark at each token.

train-*.bin           the tokens; each example is a document
train-answers-*.bin   the marks: of a tag or a label 1 + its number, at a word's first token or at the text's; of an
                      answer 1 at its first token, 2 at its last, 4 everywhere in the passage, added up
labels.json           the labels, in the order of their numbers: those of the training examples, sorted
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from train.documents import Classified, Extracted, Labelled, Tagged, parse_labelled
from train.records import BadInput, Document, digest_json, printable, read_json, write_json
from train.tokens.shards import encoding, write_encoded
from train.tokens.vocabulary import Vocabulary

LABELS = "labels.json"
STARTS, ENDS, INSIDE = 1, 2, 4


@dataclass(frozen=True)
class Marked:
    """What is read, (n,), and the marks at its tokens; `offsets`: where in its text each token stands.

    `first`, `last`: of each label the token that bears it, and the last token of what it is of; of an answer in a
    passage the tokens with which it begins and ends.
    """

    tokens: list[int]
    marks: list[int]
    offsets: list[tuple[int, int]]
    first: list[int]
    last: list[int]


class Marker:
    """A tokenizer, and the labels that it puts marks for."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, labels: Sequence[str] = ()) -> None:
        self.tokenizer, self.vocabulary = tokenizer, vocabulary
        self._numbers = {label: number + 1 for number, label in enumerate(labels)}
        self._special = [str(tokenizer.id_to_token(int(n))) for n in np.flatnonzero(vocabulary.special)]

    def encode(self, example: Labelled) -> Marked:
        """Tokens and marks; a label that is not known has none. Raises BadInput where a text cannot be read as one."""
        if spelled := next((token for token in self._special if token in example.text), None):
            raise BadInput(f"it spells the special token {printable(spelled)}")
        with encoding():
            found = self._frame(example)
        if isinstance(example, Extracted):
            return _in_passage(example, found)
        marks = [0] * len(found.ids)
        if isinstance(example, Tagged):
            said = [word for word, tag in enumerate(example.tags) if tag is not None]
            spans = [span for word in said if (span := found.word_to_tokens(word)) is not None]
        else:
            spans = [(0, len(found.ids))] if found.ids else []
        if len(spans) != len(example.labels):
            raise BadInput("a word with a label has no token")
        for label, (place, _) in zip(example.labels, spans, strict=True):
            marks[place] = self._numbers.get(label, 0)
        first, last = [place for place, _ in spans], [stop - 1 for _, stop in spans]
        return Marked(list(found.ids), marks, list(found.offsets), first, last)

    def _frame(self, example: Labelled) -> Encoding:
        if isinstance(example, Tagged):
            return self.tokenizer.encode(list(example.words), is_pretokenized=True)
        if isinstance(example, Classified):
            return self.tokenizer.encode(example.passage)
        return self.tokenizer.encode(example.question, example.passage)


def _in_passage(example: Extracted, found: Encoding) -> Marked:
    """The tokens that hold a character of the answer are its own."""
    stop = example.start + len(example.answer)
    inside = [place for place, part in enumerate(found.sequence_ids) if part == 1]
    answer = [p for p in inside if found.offsets[p][0] < stop and found.offsets[p][1] > example.start]
    if not answer:
        raise BadInput("no token of the passage is the answer's")
    marks = [0] * len(found.ids)
    for place in inside:
        marks[place] = INSIDE
    marks[answer[0]] += STARTS
    marks[answer[-1]] += ENDS
    return Marked(list(found.ids), marks, list(found.offsets), [answer[0]], [answer[-1]])


def read_labelled(documents: Iterable[Document]) -> list[tuple[Document, Labelled]]:
    """The documents with what their texts say. Raises BadInput at one that holds no labels."""
    found = []
    for document in documents:
        example = parse_labelled(document.text)
        if isinstance(example, str):
            raise BadInput(f"{printable(document.id)}: no labels: {example}")
        found.append((document, example))
    return found


def write_labelled(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    folder: Path,
    split: str,
    advance: Callable[[int], object],
) -> dict[str, Any]:
    """Encode `documents`, each with labels, into `folder`, the training split first; returns the index.

    Its digest is of the tokens, the marks and the labels.
    """
    examples = read_labelled(documents)
    if split == "train":
        write_json(folder / LABELS, sorted({label for _, example in examples for label in example.labels}))
    labels = read_labels(folder)
    marker = Marker(tokenizer, vocabulary, labels)
    marked = [(document, marker.encode(example)) for document, example in examples]
    most = max(1 + len(labels), 1 + STARTS + ENDS + INSIDE)
    marks = write_encoded(((document, [one.marks]) for document, one in marked), most, folder, f"{split}-answers", _no)
    tokens = ((document, [one.tokens]) for document, one in marked)
    index = write_encoded(tokens, tokenizer.get_vocab_size(), folder, split, advance)
    index["digest"] = digest_json([index["digest"], marks["digest"], labels])
    write_json(folder / f"{split}-index.json", index)
    return index


def _no(_: int) -> None:
    return None


def read_labels(folder: Path) -> list[str]:
    """The labels of the training examples whose tokens are in `folder`."""
    return [str(label) for label in read_json(folder / LABELS)]
