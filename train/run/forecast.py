"""How long a training will take, from a few passes over some of its sequences, which are thrown away."""

import copy
import statistics
import time
from dataclasses import replace

import torch

from train.batches import order
from train.numerics import Rounding
from train.parallel import micro_steps
from train.run.job import Job
from train.run.loop import prepare
from train.run.metrics import progress

_WARM_UP, _MEASURED = 1, 3
_ENOUGH = 20.0  # seconds


def forecast_seconds(job: Job) -> float:
    """Seconds of all steps of a training that has not begun; the run's own model is left as it is."""
    share = job.mesh.share(job.optim.sequences_per_step)
    size = share.stop - share.start
    at_once = size // micro_steps(size, job.parallel.sequences_per_device)
    trial = replace(job, model=copy.deepcopy(job.model), rounding=Rounding())
    return job.optim.steps * seconds_of_step(trial, at_once)


def seconds_of_step(job: Job, at_once: int) -> float:
    """Seconds of one step, from passes over so many sequences of each process and moves of the optimizers.

    All processes take them together, as they will; the model is used up. Where they take their time one is measured.
    Gradients that are added up once a step count once a pass.
    """
    count = at_once * job.mesh.sizes["replicate"] * job.mesh.sizes["shard"]
    trial = replace(
        job,
        optim=replace(job.optim, sequences_per_step=count),
        parallel=replace(job.parallel, sequences_per_device=at_once),
    )
    take_step, passes = prepare(trial), job.optim.sequences_per_step / count
    seconds: list[float] = []
    taken: list[float] = []
    seed = job.run.seed
    with progress("measuring", _WARM_UP + _MEASURED, "step") as bar:
        for number in range(_WARM_UP + _MEASURED):
            if job.replicas.largest(int(sum(taken[_WARM_UP:]) > _ENOUGH)):
                break
            numbers = order(seed, number, sequences=len(job.sequences), sequences_per_step=count)
            batch = job.sequences.batch(numbers, seed, job.optim.halved_steps + number)  # whole sequences
            start = time.perf_counter()
            take_step.gradients(batch).tolist()
            middle = time.perf_counter()
            take_step.move(number + 1)
            if job.choices.device == "cuda":
                torch.cuda.synchronize()
            end = time.perf_counter()
            taken.append(end - start)
            seconds.append(passes * (middle - start) + end - middle)
            bar.update()
    return statistics.median(seconds[_WARM_UP:])
