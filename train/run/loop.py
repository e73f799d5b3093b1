"""The training loop, on one page: parallelism is applied from outside, order is a pure function, stops are flags.

Lightning Fabric gives the device, the precision and the backward pass; everything else is written out below. What the
loop needs of other rooms (evaluation, samples) is handed to it as functions.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.batches import Sequences, load_batches
from train.loss import linear_cross_entropy
from train.model import LanguageModel, has_dropout
from train.numerics import Choices, digest_tensors
from train.optim import OptimConfig, make_optimizers, schedule_factor, set_learning_rate
from train.parallel import ParallelConfig, apply_plan, clip_gradients, eagerly, micro_steps
from train.records import IGNORE, MACHINE, BadInput, Batch, Json
from train.run.chain import Chain
from train.run.checkpoint import (
    State,
    forget_checkpoints,
    load_newest,
    optimizer_tensors,
    save_checkpoint,
)
from train.run.flops import count_flops
from train.run.metrics import Metrics, progress, say
from train.run.signals import StopFlag, Stopped


class Precision:
    """Names of precisions, ours and Fabric's, and the torch type of the products."""

    FABRIC = {"float32": "32-true", "bfloat16": "bf16-mixed"}  # noqa: RUF012
    DTYPE = {"float32": torch.float32, "bfloat16": torch.bfloat16}  # noqa: RUF012


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
        for name, allowed in (("precision", ("auto", *Precision.DTYPE)), ("compile", ("auto", "blocks", "none"))):
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

    `until`: the last step to take, for a replay of a part; 0 is the run's last.
    """

    folder: Path
    model: LanguageModel
    sequences: Sequences
    run: RunConfig
    optim: OptimConfig
    parallel: ParallelConfig
    choices: Choices
    config_digest: str
    open_metrics: Callable[[int], Metrics]
    watch: Callable[[LanguageModel, int], Mapping[str, Any]]
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
    optimizers = make_optimizers(optim, model, Precision.DTYPE[job.choices.precision])
    model.initialise(run.seed)
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
    with job.open_metrics(done) as metrics, StopFlag() as stop, bar:
        for step, batch in enumerate(batches, start=done + 1):
            loss, norm, rate = take_step(step, batch)
            bar.update(tokens)
            if step % run.log_every == 0 or step in (1, job.last_step):
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
                speed = clock.speed(step * tokens)
                metrics.log(step, loss=loss, gradient_norm=norm, learning_rate_factor=rate, tokens_per_second=speed)
            if step % run.evaluate_every == 0 or step == job.last_step:
                with clock.paused(), eagerly():
                    metrics.log(step, **job.watch(model, step))
            stopping = stop.received
            if step % run.checkpoint_every == 0 or step in keeper.published or stopping:
                keeper.save(step)
            if stopping:
                raise Stopped(stopping, step)
    return {
        "seconds": round(clock.total(), 1),
        "tokens": optim.steps * tokens,
        "flops": float(optim.steps * flops),
        "weights_digest": digest_tensors(dict(model.named_parameters())),
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
        self.clock = Clock(0.0)

    def resume(self) -> int:
        """Load the newest checkpoint that holds, or save the initial weights; returns the steps that are done."""
        for found in load_newest(self._folder, self._job.model, self._optimizers, self._job.config_digest):
            if isinstance(found, State):
                say(f"going on from step {found.step}")
                self.chain.rewind(found.step)
                self.clock = Clock(found.seconds)
                return found.step
            say(found)
        self.chain.rewind(-1)
        self.save(0)
        return 0

    def save(self, step: int) -> None:
        """A checkpoint of this step; earlier ones that are not for the release are deleted."""
        job = self._job
        digest = digest_tensors(dict(job.model.named_parameters()))
        state = State(
            step=step,
            tokens_seen=step * job.tokens_per_step,
            config_digest=job.config_digest,
            chain=self.chain.add(step, digest) if step in self.published else self.chain.head,
            weights_digest=digest,
            optimizer_digest=digest_tensors(optimizer_tensors(job.model, self._optimizers)),
            seconds=self.clock.total(),
        )
        save_checkpoint(self._folder, state, job.model, self._optimizers)
        forget_checkpoints(self._folder, self.published | {step})


class Step:
    """One optimizer step: batch in, (loss, gradient norm, learning-rate factor) out."""

    def __init__(self, job: Job, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._job, self._optimizers = job, optimizers
        from lightning_fabric import Fabric  # brings torch._dynamo: seconds that a mistyped key need not wait for

        precision: Any = Precision.FABRIC[job.choices.precision]
        self._fabric = Fabric(accelerator=job.choices.device, devices=1, precision=precision)
        self._wrapped = self._fabric.setup_module(job.model)
        self._wrapped.mark_forward_method("hidden")  # Fabric's own wrapper leaves such a method without autocast
        self._passes = micro_steps(job.optim.sequences_per_step, job.parallel.sequences_per_device)
        self._precision = Precision.DTYPE[job.choices.precision]
        self._noisy = has_dropout(job.model)

    def __call__(self, step: int, batch: Batch) -> tuple[float, float, float]:
        """Raises BadInput with the step and its sequences if the loss is not finite; the weights are then untouched."""
        job, model = self._job, self._job.model
        total = torch.zeros((), device=self._fabric.device)
        predicted = int((batch.targets != IGNORE).sum())
        for inputs, targets in self._micro_batches(batch):
            with self._fabric.autocast():
                hidden = self._wrapped.hidden(**inputs)
            loss = self._loss(hidden.flatten(0, 1), targets.flatten()) / max(1, predicted)
            self._fabric.backward(loss)
            total += loss.detach()
        norm = clip_gradients(model.parameters(), job.optim.clip_norm)
        if not (math.isfinite(value := total.item()) and math.isfinite(norm.item())):
            raise BadInput(
                f"the loss is {value} and its gradient's norm {norm.item()} at step {step} (sequences "
                f"{batch.sequences.tolist()}); nothing was saved since the last checkpoint. Try run.precision=float32, "
                "or another run.name with a lower optim.lr and optim.adamw_lr"
            )
        factor = schedule_factor(job.optim, step - 1)
        set_learning_rate(self._optimizers.values(), factor)
        for optimizer in self._optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return value, norm.item(), factor

    def _loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        head = self._job.model.head
        return linear_cross_entropy(
            hidden, head.weight, targets, head.bias, precision=self._precision, compiling=self._job.choices.compile
        )

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        arrays = {name: torch.from_numpy(array.copy()) for name, array in batch.inputs.items()}
        if self._noisy:
            arrays["noise"] = torch.from_numpy(batch.keys.view("int64").copy())
        parts = {name: self._fabric.to_device(array).chunk(self._passes) for name, array in arrays.items()}
        targets = self._fabric.to_device(torch.from_numpy(batch.targets.copy())).chunk(self._passes)
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
