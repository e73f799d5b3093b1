"""Saving while the training goes on: it stops for a copy, and one thread beside it writes that down.

Mohan et al., "CheckFreq: Frequent, Fine-Grained DNN Checkpointing", 2021. The copy is of what this process writes, in
the host's memory, and is let go when it is written.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from train.numerics import Held, Spread


class Background:
    """One piece of work at a time, in a thread. What it fails with is raised where the training next asks."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "checkpoint")  # at the interpreter's end its work is waited for
        self._work: Future[object] | None = None

    def begin(self, work: Callable[[], object]) -> None:
        """Start `work` when the former is done."""
        self.wait()
        self._work = self._threads.submit(work)

    def look(self) -> None:
        """Raises what the work has failed with, if it has by now."""
        if self._work is not None and self._work.done():
            self.wait()

    def wait(self) -> None:
        """Until the work is done. Raises what it has failed with."""
        work, self._work = self._work, None
        if work is not None:
            work.result()


def copied(tensors: Spread) -> Spread:
    """These tensors in the host's memory, as they are now; of what other processes write, types and shapes alone."""
    copy = Spread({name: Held(_copied(held), held.piece) for name, held in tensors.held.items()})
    if any(held.value.is_cuda for held in tensors.held.values()):
        torch.cuda.current_stream().synchronize()
    return copy


def _copied(held: Held) -> Tensor:
    if not held.piece.first:
        return torch.empty_like(held.value, device="meta")
    room = torch.empty(held.value.shape, dtype=held.value.dtype, pin_memory=held.value.is_cuda)  # all go at once
    return room.copy_(held.value, non_blocking=True)
