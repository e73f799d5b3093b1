"""Batches of packed sequences, prepared a few steps ahead by a thread.

    shards  --read-->  window of T + 1 tokens  --shift-->  tokens, targets  (+ which document each token stands in)

A sequence is a window on the stream of documents; document boundaries are kept beside it, so that attention and loss
can respect them. The last tokens of the stream that do not fill a window are not trained on.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from train.batches.order import order
from train.records import BadInput, Batch
from train.tokens import TokenStore

_AHEAD = 4


@dataclass(frozen=True)
class Sequences:
    """The windows of `seq_len` tokens that a token store holds."""

    store: TokenStore
    seq_len: int

    def __post_init__(self) -> None:
        if len(self) < 1:
            raise BadInput(
                f"the training text has {len(self.store)} tokens, fewer than one sequence of {self.seq_len}: "
                f"add documents, or set a smaller model.seq_len"
            )

    def __len__(self) -> int:
        return (len(self.store) - 1) // self.seq_len

    def batch(self, numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Batch:
        """The sequences of these numbers, (B,) int64, as one batch."""
        starts = numbers * self.seq_len
        windows = np.stack([self.store.read(int(start), int(start) + self.seq_len + 1) for start in starts])
        positions = starts[:, None] + np.arange(self.seq_len)
        return Batch(
            tokens=windows[:, :-1],
            targets=windows[:, 1:],
            documents=self.store.document_at(positions),
            sequences=numbers,
        )


def load_batches(
    sequences: Sequences, *, seed: int, sequences_per_step: int, first_step: int, steps: int
) -> Iterator[Batch]:
    """The batches of steps first_step..steps-1, in order."""

    def make(step: int) -> Batch:
        numbers = order(seed, step, sequences=len(sequences), sequences_per_step=sequences_per_step)
        return sequences.batch(numbers)

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
