"""Several processes that train one model: how they meet, and who speaks. How they share it out: mesh.py.

    torchrun --nproc-per-node 2 -m train +experiment=exact

The first process makes the documents, writes every file and speaks; the others wait, and help with the training.
"""

import os
from contextlib import AbstractContextManager
from datetime import timedelta

import torch
from torch import distributed

_PATIENCE = timedelta(hours=12)  # while the first prepares a corpus; a process that dies is noticed at once


class Replicas(AbstractContextManager["Replicas"]):
    """Process `rank` of `count`. Alone it costs nothing."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count
        self._calling = count > 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def largest(self, value: int) -> int:
        """The largest of what the processes hold; nobody goes on before all have come here."""
        if self.count == 1:
            return value
        held = torch.tensor(value)
        distributed.all_reduce(held, distributed.ReduceOp.MAX)
        return int(held)

    def call(self) -> None:
        """The first asks the others to help with a training."""
        if self._calling:
            self.largest(1)
        self._calling = False

    def called(self) -> bool:
        """What the others wait for; False if the first has ended without a training."""
        return bool(self.largest(0))

    def __exit__(self, *_: object) -> None:
        """Let those go who still wait."""
        if self.count > 1:
            if self.first and self._calling:
                self.largest(0)
            distributed.destroy_process_group()


def open_replicas() -> Replicas:
    """The processes that torchrun has started, or this one alone."""
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        gpus = torch.cuda.is_available()
        if gpus:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=_PATIENCE)
    return Replicas(rank, count)
