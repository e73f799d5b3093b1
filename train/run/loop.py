"""The training loop, on one page: parallelism is applied from outside, order is a pure function, stops are flags.

Lightning Fabric gives the device, the precision and the backward pass; everything else is written out below. What the
loop needs of other rooms (evaluation, samples) is handed to it as functions.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.batches import load_batches
from train.model import has_dropout
from train.numerics import digest_tensors, master_weights, settle
from train.optim import make_optimizers, schedule_factor, set_learning_rate
from train.parallel import at_rest, clip_gradients, cut_batch, eagerly, micro_steps, spread_model
from train.records import Batch, Json
from train.run.flops import count_flops_of_run
from train.run.job import Job, Precision
from train.run.keeper import Keeper
from train.run.metrics import progress
from train.run.signals import StopFlag, Stopped
from train.run.taken import Taken


def train(job: Job) -> Json:
    """Train to the last step, from the newest checkpoint if there is one; returns what it cost."""
    run, optim, model = job.run, job.optim, job.model
    flops, take_step = flops_of_run(job), prepare(job)
    keeper = Keeper(job, take_step.optimizers)
    done = keeper.resume()
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
    with job.open_metrics(done) as metrics, StopFlag() as stop, bar, keeper:
        for step, batch in enumerate(batches, start=done + 1):
            job.replicas.at(f"step {step}")
            taken = take_step(step, batch)
            keeper.look()
            bar.update(tokens)
            if not silent and (step % run.log_every == 0 or step in (1, job.last_step)):
                loss, norm = taken.read()
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
                speed, rate = clock.speed(step * tokens), taken.rate
                metrics.log(step, loss=loss, gradient_norm=norm, learning_rate_factor=rate, tokens_per_second=speed)
            if job.watches and (step % run.evaluate_every == 0 or step == job.last_step):
                taken.read()
                with clock.paused(), eagerly(), at_rest(model, job.choices), job.replicas.at_length("evaluation"):
                    seen = job.watch(model, step)
                if not silent:
                    metrics.log(step, **seen)
            keeper.link(step)
            stopping = job.replicas.largest(stop.received or 0)
            if step % run.checkpoint_every == 0 or step in keeper.published or stopping:
                taken.read()
                keeper.save(step)
            if stopping:
                keeper.settle()
                raise Stopped(stopping, step)
    return {
        "seconds": round(clock.total(), 1),
        "tokens": optim.steps * tokens,
        "flops": float(flops()),
        "weights_digest": digest_tensors(master_weights(model)),
        "chain": keeper.chain.head,
    }


def flops_of_run(job: Job) -> Callable[[], int]:
    """Counts, when it is called, the floating-point operations of all steps of the model as it is now, before it is
    spread."""
    shape = copy.deepcopy(job.model).to("meta")
    return lambda: count_flops_of_run(shape, job.sequences, job.optim, job.run.seed, twice=job.loss.compares)


def prepare(job: Job) -> "Step":
    """The model on its devices, with its initial weights, and the optimizers: all that a first step needs."""
    settle(job.choices)
    spread_model(job.model, job.parallel, job.mesh, job.choices)
    if job.from_seed:
        job.model.initialise(job.run.seed, exact=job.choices.exact)
    return Step(job, make_optimizers(job.optim, job.model, Precision.DTYPE[job.choices.precision], job.rounding))


class Step:
    """One optimizer step: the device is asked for it, and the host goes on before it is done."""

    def __init__(self, job: Job, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        self._job, self.optimizers, self.model = job, optimizers, job.model
        from lightning_fabric import Fabric  # brings torch._dynamo: seconds that a mistyped key need not wait for
        from lightning_fabric.plugins.environments import LightningEnvironment

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # what was chosen is said already
        precision: Any = Precision.FABRIC[job.choices.precision]
        devices: Any = 1 if job.choices.device == "cpu" else [torch.cuda.current_device()]
        met = LightningEnvironment()  # the processes have met already: Fabric need not look for SLURM or torchrun
        self._fabric = Fabric(accelerator=job.choices.device, devices=devices, precision=precision, plugins=[met])
        self._loss = job.loss.to(self._fabric.device, next(job.model.parameters()).dtype)
        share = job.mesh.share(job.optim.sequences_per_step)
        self._passes = micro_steps(share.stop - share.start, job.parallel.sequences_per_device)
        self._precision = Precision.DTYPE[job.choices.precision]
        self._noisy = has_dropout(job.model)
        self._before: Taken | None = None

    def __call__(self, step: int, batch: Batch) -> Taken:
        """Raises BadInput if the loss of the step before, which has come meanwhile, is not finite."""
        values = self.gradients(batch)
        taken = Taken(step, batch.sequences, values, self.move(step))
        before, self._before = self._before, taken
        if before:
            self._job.replicas.part("waiting for the step before")
            before.read()
        return taken

    def gradients(self, batch: Batch) -> Tensor:
        """Forward and backward over a batch's sequences; the gradients are added up and clipped. Loss and gradient norm
        before, shape (2,), on the device."""
        job, model = self._job, self._job.model
        total = torch.zeros((), dtype=torch.promote_types(self._precision, torch.float32), device=self._fabric.device)
        counted = job.loss.count(batch.targets, batch.inputs)
        for inputs, targets in self._micro_batches(batch):
            with self._fabric.autocast():
                hidden = model.hidden(**inputs)
            summed = self._loss(hidden, model.head, targets, inputs, self._precision, job.choices.compile)
            loss = summed / max(1, counted)
            self._fabric.backward(loss)
            total += loss.detach()
        job.replicas.part("adding up the gradients")
        job.mesh.add_up(total, model.parameters())
        norm = clip_gradients(model.parameters(), job.optim.clip_norm)
        return torch.stack([total, norm.to(total.dtype)])

    def move(self, step: int) -> float:
        """The optimizers' step; the gradients are used up. Returns the learning-rate factor."""
        factor = schedule_factor(self._job.optim, step - 1)
        set_learning_rate(self.optimizers.values(), factor)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return factor

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[dict[str, Any], Tensor]]:
        arrays = {**batch.inputs, "targets": batch.targets}
        if self._noisy:
            arrays["noise"] = batch.keys.view("int64")
        share = self._job.mesh.share(len(batch.targets))
        parts = {name: self._to_device(array[share]).chunk(self._passes) for name, array in arrays.items()}
        for number in range(self._passes):
            inputs: dict[str, Any] = {name: chunks[number] for name, chunks in parts.items()}
            if self._job.mesh.sizes["context"] > 1:
                inputs = cut_batch(inputs, self.model, self._job.mesh)
            yield inputs, inputs.pop("targets")

    def _to_device(self, array: np.ndarray) -> Tensor:
        """To a GPU from pinned memory, which it reads by itself while the host goes on."""
        tensor = torch.from_numpy(array.copy())
        there: Tensor = self._fabric.to_device(tensor.pin_memory() if self._fabric.device.type == "cuda" else tensor)
        return there
