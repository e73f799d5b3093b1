"""Examples on disk: two token stores side by side, the tokens and which of them are answers.

train-*.bin           the tokens; each part of an example (an answer, or the better and the worse) is a document
train-answers-*.bin   1 at the tokens to learn, 0 at all others
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.documents import parse_example
from train.records import BadInput, Document, printable
from train.tokens.chat import Chat
from train.tokens.labelled import read_labels
from train.tokens.shards import TokenStore, write_encoded

Part = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]


def write_examples(
    documents: Iterable[Document], chat: Chat, folder: Path, split: str, advance: Callable[[int], object]
) -> dict[str, Any]:
    """Encode `documents`, each an example, into `folder`; returns the index of their tokens."""
    parts = [
        (replace(document, n_bytes=len(said.encode())), part)
        for document in documents
        for said, part in _parts(document, chat)
    ]
    answers = ((document, [list(map(int, part.answers))]) for document, part in parts)
    write_encoded(answers, 2, folder, f"{split}-answers", lambda _: None)
    tokens = ((document, [part.tokens]) for document, part in parts)
    return write_encoded(tokens, chat.tokenizer.get_vocab_size(), folder, split, advance)


def _parts(document: Document, chat: Chat) -> Iterable[tuple[str, Any]]:
    example = parse_example(document.text)
    if isinstance(example, str):
        raise BadInput(f"{printable(document.id)}: no example: {example}")
    said = "".join(message.content for message in example.prompt)
    answers = [example.answer, example.rejected] if example.is_preference else [example.answer]
    return zip([said + answer for answer in answers], chat.parts(example), strict=True)


class ExampleStore:
    """The parts of the examples of one split, each (tokens, answers): (n,) int64 and (n,) bool, memory-mapped."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder = folder
        self.tokens, self._answers = TokenStore(folder, split), TokenStore(folder, f"{split}-answers")
        if not np.array_equal(self.tokens.offsets, self._answers.offsets):
            raise BadInput(f"{folder}: the tokens and the answers of {split} are not of the same examples")

    def __len__(self) -> int:
        return len(self.tokens.offsets) - 1

    def lengths(self) -> npt.NDArray[np.int64]:
        """Of each part, how many tokens."""
        return self.tokens.lengths()

    def part(self, number: int) -> Part:
        """One part."""
        tokens, marks = self.marked(number)
        return tokens, marks.astype(bool)

    def marked(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """One example of an encoder: its tokens and their marks (labelled.py), (n,) int64 both."""
        start, stop = (int(place) for place in self.tokens.offsets[number : number + 2])
        return self.tokens.read(start, stop), self._answers.read(start, stop)

    def labels(self) -> list[str]:
        """What the marks of an encoder's examples stand for."""
        return read_labels(self._folder)
