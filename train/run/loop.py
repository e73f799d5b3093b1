"""The training loop, on one page: parallelism is applied from outside, order is a pure function, stops are flags.

Lightning Fabric gives the device, the precision and the backward pass; everything else is written out below. What the
loop needs of other rooms (evaluation, samples) is handed to it as functions.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.batches import Sequences, load_batches
from train.loss import linear_cross_entropy
from train.model import LanguageModel, has_dropout
from train.numerics import Choices, Rounding, digest_tensors
from train.optim import OptimConfig, make_optimizers, schedule_factor, set_learning_rate
from train.parallel import ParallelConfig, Replicas, apply_plan, clip_gradients, eagerly, micro_steps
from train.records import IGNORE, MACHINE, BadInput, Batch, Json
from train.run.chain import Chain
from train.run.checkpoint import (
    State,
    forget_checkpoints,
    load_newest,
    master_weights,
    optimizer_tensors,
    save_checkpoint,
)
from train.run.flops import count_flops
from train.run.metrics import progress, say
from train.run.roundings import Roundings
from train.run.signals import StopFlag, Stopped


class Precision:
    """Names of precisions, ours and Fabric's, and the torch type of the products."""

    FABRIC = {"float32": "32-true", "bfloat16": "bf16-mixed", "float64": "64-true"}  # noqa: RUF012
    DTYPE = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}  # noqa: RUF012


@dataclass(kw_only=True)
class RunConfig:
    """How a run goes. `precision`, `compile` and `threads` left at auto (0) are chosen by a look at the machine.

    A checkpoint is made every `checkpoint_every` steps and replaced by the next; `publish` of them, evenly spaced, are
    kept for the release, with the initial weights.
    """

    name: str = field(metadata=MACHINE)
    folder: str = field(default="runs", metadata=MACHINE)
    seed: int = 0
    precision: str = field(default="auto", metadata=MACHINE)
    compile: str = field(default="auto", metadata=MACHINE)
    threads: int = field(default=0, metadata=MACHINE)
    publish: int = 5
    checkpoint_every: int = field(default=50, metadata=MACHINE)
    evaluate_every: int = field(default=100, metadata=MACHINE)
    log_every: int = field(default=5, metadata=MACHINE)
    prompts: list[str] = field(default_factory=list, metadata=MACHINE)

    def __post_init__(self) -> None:
        for name, allowed in (("precision", ("auto", "float32", "bfloat16")), ("compile", ("auto", "blocks", "none"))):
            if getattr(self, name) not in allowed:
                raise BadInput(f"run.{name}={getattr(self, name)}: one of {', '.join(allowed)}")
        for name in ("publish", "checkpoint_every", "evaluate_every", "log_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"run.{name}={getattr(self, name)}: must be at least 1")
        if self.threads < 0 or not 0 <= self.seed < 2**53:
            raise BadInput("run.threads must be at least 0 (0: chosen), run.seed from 0 to 2^53")
        if not self.name or any(char in self.name for char in "/\\\0") or self.name.startswith("."):
            raise BadInput(f"run.name={self.name!r}: a plain folder name")


@dataclass(kw_only=True, frozen=True)
class Job:
    """All that one training needs. `watch` is called every so many steps and returns metrics (it may print).

    `rounding`: how exact arithmetic decides near a tie; `until`: the last step to take, for a replay of a part; 0 is
    the run's last.
    """

    folder: Path
    model: LanguageModel
    sequences: Sequences
    run: RunConfig
    optim: OptimConfig
    parallel: ParallelConfig
    choices: Choices
    config_digest: str
    open_metrics: Callable[[int], AbstractContextManager[Any]]
    watch: Callable[[LanguageModel, int], Mapping[str, Any]]
    replicas: Replicas = field(default_factory=Replicas)
    rounding: Rounding = field(default_factory=Rounding)
    until: int = 0

    @property
    def last_step(self) -> int:
        """The step after which the training ends."""
        return self.until or self.optim.steps

    @property
    def tokens_per_step(self) -> int:
        """Of text, over all passes of a step."""
        return self.optim.sequences_per_step * self.sequences.text_tokens


def train(job: Job) -> Json:
    """Train to the last step, from the newest checkpoint if there is one; returns what it cost."""
    run, optim, model = job.run, job.optim, job.model
    torch.set_num_threads(job.choices.threads)
    optimizers = make_optimizers(optim, model, Precision.DTYPE[job.choices.precision], job.rounding)
    model.initialise(run.seed, exact=job.choices.exact)
    flops = flops_of_step(job)
    take_step = Step(job, optimizers)
    keeper = Keeper(job, optimizers)
    done = keeper.resume()
    apply_plan(model.blocks, job.parallel, compiling=job.choices.compile)
    batches = load_batches(
        job.sequences,
        seed=run.seed,
        sequences_per_step=optim.sequences_per_step,
        first_step=done,
        steps=job.last_step,
    )
    tokens, clock = job.tokens_per_step, keeper.clock
    bar = progress("training", job.last_step * tokens, "tok", initial=done * tokens)
    silent = not job.replicas.first
    with job.open_metrics(done) as metrics, StopFlag() as stop, bar:
        for step, batch in enumerate(batches, start=done + 1):
            loss, norm, rate = take_step(step, batch)
            bar.update(tokens)
            if not silent and (step % run.log_every == 0 or step in (1, job.last_step)):
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
                speed = clock.speed(step * tokens)
                metrics.log(step, loss=loss, gradient_norm=norm, learning_rate_factor=rate, tokens_per_second=speed)
            if not silent and (step % run.evaluate_every == 0 or step == job.last_step):
                with clock.paused(), eagerly():
                    metrics.log(step, **job.watch(model, step))
            keeper.link(step)
            stopping = job.replicas.largest(stop.received or 0)
            if step % run.checkpoint_every == 0 or step in keeper.published or stopping:
                keeper.save(step)
            if stopping:
                raise Stopped(stopping, step)
    return {
        "seconds": round(clock.total(), 1),
        "tokens": optim.steps * tokens,
        "flops": float(optim.steps * flops),
        "weights_digest": digest_tensors(master_weights(model)),
        "chain": keeper.chain.head,
    }


def flops_of_step(job: Job) -> int:
    """Floating-point operations of one step: all its sequences are alike, so one is counted."""
    one = job.sequences.batch(np.zeros(1, np.int64), job.run.seed, 0)
    return job.optim.sequences_per_step * count_flops(job.model, one)


def published_steps(steps: int, count: int) -> set[int]:
    """The steps whose checkpoints are published: 0 and `count` others evenly spaced, the last among them."""
    return {0} | {max(1, round(number * steps / count)) for number in range(1, count + 1)}


class Keeper:
    """Saves the run and brings it back: checkpoints, the chain of digests, and the seconds spent."""

    def __init__(self, job: Job, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._job, self._optimizers = job, optimizers
        self._folder = job.folder / "checkpoints"
        self.published = published_steps(job.optim.steps, job.run.publish)
        self.chain = Chain(job.folder / "chain.jsonl")
        self.roundings = Roundings(job.folder / "roundings.jsonl", job.rounding)
        self.clock = Clock(0.0)

    def resume(self) -> int:
        """Load the newest checkpoint that holds, or save the initial weights; returns the steps that are done."""
        done = self._load() if self._job.replicas.first else 0
        done = self._job.replicas.largest(done)  # the others come when the files are there
        return done if self._job.replicas.first else self._load()

    def _load(self) -> int:
        for found in load_newest(self._folder, self._job.model, self._optimizers, self._job.config_digest):
            if isinstance(found, State):
                self._go_on_from(found)
                return found.step
            say(found)
        self._go_on_from(None)
        self.save(0)
        return 0

    def _go_on_from(self, state: State | None) -> None:
        if self._job.replicas.first:
            step = -1 if state is None else state.step
            self.chain.rewind(step)
            self.roundings.rewind(step)
            if state is not None:
                say(f"going on from step {step}")
        if state is not None:
            self.clock = Clock(state.seconds)

    def link(self, step: int) -> None:
        """Add the weights' digest to the chain: at published steps, and in exact arithmetic at every one."""
        if self._job.replicas.first and (self._job.choices.exact or step in self.published):
            self.chain.add(step, digest_tensors(master_weights(self._job.model)))

    def save(self, step: int) -> None:
        """A checkpoint of this step; earlier ones that are not for the release are deleted."""
        job = self._job
        if not job.replicas.first:
            return
        self.link(step)
        self.chain.save()
        state = State(
            step=step,
            tokens_seen=step * job.tokens_per_step,
            config_digest=job.config_digest,
            chain=self.chain.head,
            weights_digest=digest_tensors(master_weights(job.model)),
            optimizer_digest=digest_tensors(optimizer_tensors(job.model, self._optimizers)),
            seconds=self.clock.total(),
        )
        self.roundings.save()
        save_checkpoint(self._folder, state, job.model, self._optimizers)
        forget_checkpoints(self._folder, self.published | {step})


class Step:
    """One optimizer step: batch in, (loss, gradient norm, learning-rate factor) out."""

    def __init__(self, job: Job, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._job, self.optimizers, self.model = job, optimizers, job.model
        from lightning_fabric import Fabric  # brings torch._dynamo: seconds that a mistyped key need not wait for

        precision: Any = Precision.FABRIC[job.choices.precision]
        self._fabric = Fabric(accelerator=job.choices.device, devices=1, precision=precision)
        self._wrapped = self._fabric.setup_module(job.model)
        self._wrapped.mark_forward_method("hidden")  # Fabric's own wrapper leaves such a method without autocast
        self._share = job.replicas.share(job.optim.sequences_per_step)
        self._passes = micro_steps(self._share.stop - self._share.start, job.parallel.sequences_per_device)
        self._precision = Precision.DTYPE[job.choices.precision]
        self._noisy = has_dropout(job.model)

    def __call__(self, step: int, batch: Batch) -> tuple[float, float, float]:
        """Raises BadInput with the step and its sequences if the loss is not finite; the weights are then untouched."""
        loss, norm = self.gradients(batch)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise BadInput(
                f"the loss is {loss} and its gradient's norm {norm} at step {step} (sequences "
                f"{batch.sequences.tolist()}); nothing was saved since the last checkpoint. Try run.precision=float32, "
                "or another run.name with a lower optim.lr and optim.adamw_lr"
            )
        return loss, norm, self.move(step)

    def gradients(self, batch: Batch) -> tuple[float, float]:
        """Forward and backward over a batch's sequences; the gradients are added up and clipped. Loss and norm."""
        job, model = self._job, self._job.model
        total = torch.zeros((), dtype=torch.promote_types(self._precision, torch.float32), device=self._fabric.device)
        predicted = int((batch.targets != IGNORE).sum())
        for inputs, targets in self._micro_batches(batch):
            with self._fabric.autocast():
                hidden = self._wrapped.hidden(**inputs)
            loss = self._loss(hidden.flatten(0, 1), targets.flatten()) / max(1, predicted)
            self._fabric.backward(loss)
            total += loss.detach()
        job.replicas.add_up([total, *(p.grad for p in model.parameters() if p.grad is not None)])
        return total.item(), clip_gradients(model.parameters(), job.optim.clip_norm).item()

    def move(self, step: int) -> float:
        """The optimizers' step; the gradients are used up. Returns the learning-rate factor."""
        factor = schedule_factor(self._job.optim, step - 1)
        set_learning_rate(self.optimizers.values(), factor)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return factor

    def _loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        head = self._job.model.head
        return linear_cross_entropy(
            hidden, head.weight, targets, head.bias, precision=self._precision, compiling=self._job.choices.compile
        )

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        arrays = {**batch.inputs, "targets": batch.targets}
        if self._noisy:
            arrays["noise"] = batch.keys.view("int64")
        tensors = {name: torch.from_numpy(array[self._share].copy()) for name, array in arrays.items()}
        parts = {name: self._fabric.to_device(tensor).chunk(self._passes) for name, tensor in tensors.items()}
        targets = parts.pop("targets")
        for number, part in enumerate(targets):
            yield {name: chunks[number] for name, chunks in parts.items()}, part


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
