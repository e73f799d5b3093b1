"""Batches of packed sequences, prepared a few steps ahead by a thread.

    shards  --read-->  windows on the stream  --objective-->  inputs, targets  (+ documents, where asked)

A sequence is a window on the stream of documents; document boundaries are kept beside it, so that attention and loss
can respect them. The last tokens of the stream that do not fill a window are not trained on. The first steps may read
each sequence as two of half its length: the same tokens and targets, and no look from the second half at the first.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from train.batches.objectives import Objective
from train.batches.order import order
from train.numerics import hash_rows
from train.records import BadInput, Batch

_AHEAD = 4
_SITE = 0x6D61736B  # "mask"


class Tokens(Protocol):
    """A stream of tokens: a `TokenStore`, or one that is invented to measure with."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The tokens from `start` on, before `stop`."""
        ...

    def document_at(self, position: npt.NDArray[np.int64]) -> npt.NDArray[np.integer]:
        """The number of the document that holds each position."""
        ...


class Batches(Protocol):
    """The sequences of a corpus, by number: `Sequences`, or others that the loop can take in their place."""

    def __len__(self) -> int: ...

    @property
    def text_tokens(self) -> int:
        """The tokens of text in a sequence."""
        ...

    def batch(self, numbers: npt.NDArray[np.int64], seed: int, step: int) -> Batch:
        """The sequences of these numbers, (B,) int64, as the batch of a step."""
        ...


@dataclass(frozen=True)
class Sequences:
    """The sequences of `seq_len` tokens that a token store holds for an objective.

    `halved_steps`: so many steps, from the first, read them in halves (a causal objective's alone can be).
    """

    store: Tokens
    seq_len: int
    objective: Objective
    with_documents: bool = False
    halved_steps: int = 0

    def __post_init__(self) -> None:
        if len(self) < 1:
            raise BadInput(
                f"the training text has {len(self.store)} tokens, fewer than one sequence of {self.seq_len}: "
                f"add documents, or set a smaller model.seq_len"
            )

    def __len__(self) -> int:
        text, read = self.objective.window(self.seq_len)
        return (len(self.store) - (read - text)) // text

    @property
    def text_tokens(self) -> int:
        """The tokens of text in a sequence."""
        return self.objective.window(self.seq_len)[0]

    def batch(self, numbers: npt.NDArray[np.int64], seed: int, step: int) -> Batch:
        """The sequences of these numbers, (B,) int64, as the batch of a step: B rows, or 2 B halves."""
        text, read = self.objective.window(self.seq_len)
        starts = numbers * text
        windows = np.stack([self.store.read(int(start), int(start) + read) for start in starts])
        keys = hash_rows(numbers, seed, step, _SITE)
        example = self.objective.make(windows, keys)
        inputs, targets = dict(example.inputs), example.targets
        if self.with_documents:
            inputs["documents"] = self.store.document_at(starts[:, None] + np.arange(text))
        if step < self.halved_steps:
            inputs = {name: _halves(array) for name, array in inputs.items()}
            targets, keys = _halves(targets), hash_rows(_twice(numbers), seed, step, _SITE)
        return Batch(inputs=inputs, targets=targets, keys=keys, sequences=numbers)


def _halves(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(B, T) -> (2 B, T / 2), the halves of a row one behind the other."""
    assert array.shape[1] % 2 == 0, array.shape
    return array.reshape(-1, array.shape[1] // 2)


def _twice(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(B,) -> (2 B,): a number of its own for each half."""
    return (2 * numbers[:, None] + np.arange(2)).ravel()


def load_batches(
    sequences: Batches, *, seed: int, sequences_per_step: int, first_step: int, steps: int
) -> Iterator[Batch]:
    """The batches of steps first_step..steps-1, in order."""

    def make(step: int) -> Batch:
        numbers = order(seed, step, sequences=len(sequences), sequences_per_step=sequences_per_step)
        return sequences.batch(numbers, seed, step)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as worker:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(first_step, steps):
                while len(waiting) < _AHEAD and step + len(waiting) < steps:
                    waiting.append(worker.submit(make, step + len(waiting)))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
