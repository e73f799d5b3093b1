"""What a training leaves behind as it goes, and what brings it back: checkpoints, the chain, roundings, the clock."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType

import torch

from train.numerics import Spread, digest_tensors, master_weights
from train.run.background import Background, copied
from train.run.chain import Chain
from train.run.checkpoint import (
    State,
    checkpoint_of,
    checkpoint_tensors,
    find_newest,
    forget_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from train.run.job import Job
from train.run.metrics import say
from train.run.roundings import Roundings


def published_steps(steps: int, count: int) -> set[int]:
    """The steps whose checkpoints are published: 0 and `count` others evenly spaced, the last among them."""
    count = min(count, steps)
    return {0} | {max(1, round(number * steps / count)) for number in range(1, count + 1)}


class Keeper:
    """Saves the run and brings it back: checkpoints, the chain of digests, and the seconds spent."""

    def __init__(self, job: Job, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._job, self._optimizers = job, optimizers
        self._folder = job.folder / "checkpoints"
        self.published = published_steps(job.optim.steps, job.run.publish)
        self.chain = Chain(job.folder / "chain.jsonl")
        self.roundings = Roundings(job.folder / "roundings.jsonl", job.rounding)
        self.clock, self._background = Clock(0.0), Background()

    def resume(self) -> int:
        """Load the newest checkpoint that holds, or save the initial weights; returns the steps that are done.

        The first process finds it, and the others go on from the same.
        """
        state = self._find() if self._job.replicas.first else None
        done = self._job.replicas.largest(-1 if state is None else state.step)
        if done < 0:
            self.link(0)
            self.save(0)
            return 0
        load_checkpoint(checkpoint_of(self._folder, done), self._job.model, self._optimizers)
        return done

    def _find(self) -> State | None:
        state = None
        for found in find_newest(self._folder, self._job.model, self._job.config_digest):
            if isinstance(found, State):
                state = found
                self.clock = Clock(state.seconds)
                say(f"going on from step {state.step}")
            else:
                say(found)
        done = -1 if state is None else state.step
        self.chain.rewind(done)
        self.roundings.rewind(done)
        forget_checkpoints(self._folder, self.published | {done})  # a killed run may have left one too many
        return state

    def link(self, step: int) -> None:
        """In exact arithmetic every step has its link in the chain; else those of published steps come with saving."""
        if self._job.choices.exact:
            self.chain.add(step, digest_tensors(master_weights(self._job.model)))

    def save(self, step: int) -> None:
        """A checkpoint of this step, written while the training goes on. The former is waited for."""
        self.settle()
        job, exact = self._job, self._job.choices.exact
        files = {name: copied(tensors) for name, tensors in checkpoint_tensors(job.model, self._optimizers).items()}
        if exact and job.replicas.first:
            self.chain.save()
            self.roundings.save()
        now = partial(
            State,
            step=step,
            tokens_seen=step * job.tokens_per_step,
            config_digest=job.config_digest,
            seconds=self.clock.total(),
        )
        self._background.begin(partial(self._write, step, files, now, self.chain.head if exact else ""))

    def _write(self, step: int, files: Mapping[str, Spread], now: Callable[..., State], head: str) -> None:
        """In the thread; earlier checkpoints that are not for the release are then deleted. `head`: the chain's at this
        step, if it is known."""

        def state(weights: str, optimizer: str) -> State:
            return now(weights_digest=weights, optimizer_digest=optimizer, chain=head or self._linked(step, weights))

        save_checkpoint(self._folder, step, files, state, self._job.replicas)
        if self._job.replicas.first:
            forget_checkpoints(self._folder, self.published | {step})

    def _linked(self, step: int, weights: str) -> str:
        """The chain's head, with the link of a published step."""
        if step in self.published:
            self.chain.add(step, weights)
        self.chain.save()
        return self.chain.head

    def look(self) -> None:
        """Raises what the saving has failed with, if it has by now."""
        self._background.look()

    def settle(self) -> None:
        """Until what was to be saved is on the disk. Raises OSError if it could not be."""
        self._job.replicas.part("waiting for the checkpoint")
        self._background.wait()

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Whatever happens, what was begun is saved. An error that is on its way goes before one of the saving."""
        if error is None:
            self.settle()
            return
        with suppress(Exception):
            self.settle()


class Clock:
    """Seconds of training, resumed runs added up, evaluation left out; and the speed since it was last asked."""

    def __init__(self, before: float) -> None:
        self._before, self._start = before, time.perf_counter()
        self._mark: tuple[float, int] | None = None
        self._pauses = 0.0

    def total(self) -> float:
        """Seconds of training so far."""
        return self._before + time.perf_counter() - self._start - self._pauses

    def speed(self, tokens: int) -> float | None:
        """Tokens per second since the last call; None at the first."""
        now, mark = self.total(), self._mark
        self._mark = (now, tokens)
        return None if mark is None else round((tokens - mark[1]) / max(1e-9, now - mark[0]), 1)

    def paused(self) -> "Clock":
        """A context whose time does not count."""
        return self

    def __enter__(self) -> None:
        self._paused_at = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._pauses += time.perf_counter() - self._paused_at
