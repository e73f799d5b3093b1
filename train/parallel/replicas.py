"""Several processes that train one model: how they meet, and who speaks. How they share it out: mesh.py.

    torchrun --nproc-per-node 2 -m train +experiment=exact
    srun --ntasks 2 python -m train +experiment=exact

The first process makes the documents, writes every file and speaks; the others wait, and help with the training.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch
from torch import distributed

from train.cluster import Watch, find_place

_PATIENCE = timedelta(hours=12)  # the watch is quicker: it knows what takes its time from what hangs


class Replicas(AbstractContextManager["Replicas"]):
    """Process `rank` of `count`, of which `local_count` are on this node. Alone it costs nothing.

    `watch` tells the others where this one stands; `talk`: the processes once more, for what goes on beside a training.
    """

    def __init__(
        self, rank: int = 0, count: int = 1, local_count: int = 1, watch: Watch | None = None, talk: Any = None
    ) -> None:
        self.rank, self.count, self.local_count, self._watch, self._talk = rank, count, local_count, watch, talk
        self._calling = watch is not None

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def at(self, where: str) -> None:
        """Say where this process stands ("step 12"), for those who ask why nothing moves."""
        if self._watch:
            self._watch.at(where)

    def part(self, name: str) -> None:
        """Say which part of it this is ("adding up the gradients")."""
        if self._watch:
            self._watch.part(name)

    @contextmanager
    def at_length(self, what: str) -> Iterator[None]:
        """What may take its time, in the first or in all: meanwhile nothing needs to move."""
        if self._watch is None:
            yield
        else:
            with self._watch.at_length(what):
                yield

    def largest(self, value: int) -> int:
        """The largest of what the processes hold; nobody goes on before all have come here."""
        if self.count == 1:
            return value
        self.part("waiting for all")
        held = torch.tensor(value)
        distributed.all_reduce(held, distributed.ReduceOp.MAX)
        return int(held)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What all do in a thread beside the training, each its part; they leave it together. Raises OSError where
        another has failed in it."""
        failed = True
        try:
            yield
            failed = False
        finally:
            if self.count > 1:
                heard = torch.tensor(int(failed))
                distributed.all_reduce(heard, distributed.ReduceOp.MAX, group=self._talk)
                if heard and not failed:
                    raise OSError("another process could not save its part of the checkpoint")

    def call(self) -> None:
        """The first asks the others to help with a training."""
        if self._watch and self._calling:
            self._watch.call(wanted=True)
        self._calling = False

    def called(self) -> bool:
        """What the others wait for; False if the first has ended without a training."""
        return self._watch is not None and self._watch.called()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let those go who still wait. An error that another process may have caused ends this one here."""
        if self._watch is None:
            return
        if self.first and self._calling and error is None:
            self._watch.call(wanted=False)
        self._watch.leave(error)
        distributed.destroy_process_group()


def open_replicas(hang_after: float = 600.0) -> Replicas:
    """The processes that torchrun or srun has started, or this one alone. Raises Lost if they do not come together.

    `hang_after`: seconds after which one that is not heard of is lost, and a step in which nothing moves hangs.
    """
    place = find_place()
    if place.count == 1:
        return Replicas()
    watch, gpus = Watch(place, hang_after), torch.cuda.is_available()
    if gpus:
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if gpus else "gloo",
        store=watch.store, rank=place.rank, world_size=place.count, timeout=_PATIENCE,
    )  # fmt: skip
    talk = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    return Replicas(place.rank, place.count, place.local_count, watch, talk)
