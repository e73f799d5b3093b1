"""Examples as sequences for the loop: packed into rows of equal length for a decoder, question and answer for a T5.

Nothing leaks from one example to another in a row: tokens see those of their own part (`documents`), positions begin
anew, and no target lies beyond a part's end. What is left of a row is padding, in a part of its own, without a target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from train.numerics import hash_rows
from train.records import IGNORE, BadInput, Batch
from train.tokens import ExampleStore

Ints = npt.NDArray[np.int64]

_SITE = 0x74756E65  # "tune"


def pack(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Rows of up to `size`, as few as best fit, longest first, finds; in each the numbers of what lies in it."""
    room: list[list[list[int]]] = [[] for _ in range(size + 1)]  # rows, by what is left of them
    rows: list[list[int]] = []
    for number in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        length = lengths[number]
        left = next((left for left in range(length, size + 1) if room[left]), size)
        if room[left]:
            row = room[left].pop()
        else:
            rows.append(row := [])
        row.append(number)
        room[left - length].append(row)
    return rows


def pack_examples(lengths: Ints, parts: int, size: int) -> list[list[int]]:
    """The rows of examples of so many `parts` each; `lengths` are the parts'. Raises BadInput if one fits no row."""
    together = (lengths - 1).reshape(-1, parts).sum(1)  # the last token of a part is predicted, not read
    if not len(together) or together.max() > size:
        raise BadInput(f"there are no examples, or one is longer than model.seq_len={size}")
    return pack(together.tolist(), size)


@dataclass(frozen=True)
class Packed:
    """Rows of `seq_len` for a decoder. The `parts` of an example (1, or 2 to be compared) stand in one row."""

    store: ExampleStore
    seq_len: int
    parts: int = 1
    rows: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", pack_examples(self.store.lengths(), self.parts, self.seq_len))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def text_tokens(self) -> int:
        """The places in a sequence, padding among them."""
        return self.seq_len

    def batch(self, numbers: Ints, seed: int, step: int) -> Batch:
        """The rows of these numbers, (B,) int64; `documents` numbers the parts of each row from 0."""
        shape = (len(numbers), self.seq_len)
        tokens, targets = np.zeros(shape, np.int64), np.full(shape, IGNORE, np.int64)
        documents = np.full(shape, self.seq_len - 1, np.int64)  # the padding's: no row holds so many parts
        for row, number in enumerate(numbers):
            inside = [self.parts * example + part for example in self.rows[number] for part in range(self.parts)]
            start = 0
            for place, part in enumerate(inside):
                read, answers = self.store.part(part)
                here = (row, slice(start, start + len(read) - 1))
                tokens[here], documents[here] = read[:-1], place
                targets[here] = np.where(answers[1:], read[1:], IGNORE)
                start += len(read) - 1
        keys = hash_rows(numbers, seed, step, _SITE)
        return Batch(inputs={"tokens": tokens, "documents": documents}, targets=targets, keys=keys, sequences=numbers)


@dataclass(frozen=True)
class TextToText:
    """One example a row for an encoder that reads the question and a decoder that gives the answer, each `seq_len`."""

    store: ExampleStore
    seq_len: int
    pad: int

    def __len__(self) -> int:
        return len(self.store)

    @property
    def text_tokens(self) -> int:
        """The places in a sequence, padding among them."""
        return 2 * self.seq_len

    def batch(self, numbers: Ints, seed: int, step: int) -> Batch:
        """The examples of these numbers, (B,) int64."""
        shape = (len(numbers), self.seq_len)
        tokens, seen, decoder = (
            np.full(shape, self.pad, np.int64),
            np.zeros(shape, bool),
            np.full(shape, self.pad, np.int64),
        )
        targets = np.full(shape, IGNORE, np.int64)
        for row, number in enumerate(numbers):
            read, answers = self.store.part(int(number))
            asked, told = read[~answers], read[answers]
            tokens[row, : len(asked)], seen[row, : len(asked)] = asked, True
            targets[row, : len(told)], decoder[row, 1 : len(told)] = told, told[:-1]
        inputs = {"tokens": tokens, "decoder_tokens": decoder, "attention_mask": seen}
        return Batch(inputs=inputs, targets=targets, keys=hash_rows(numbers, seed, step, _SITE), sequences=numbers)
