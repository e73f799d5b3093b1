"""How long a training will take, from a few of its steps taken with a copy of the model and thrown away."""

import copy
import statistics
import time
from dataclasses import replace

from train.batches import load_batches
from train.numerics import Rounding
from train.run.job import Job
from train.run.loop import prepare

_WARM_UP, _MEASURED = 1, 3


def forecast_seconds(job: Job) -> float:
    """Seconds of all steps of a training that has not begun; the run's own model is left as it is. All processes take
    the steps together, as they will.
    """
    trial = replace(job, model=copy.deepcopy(job.model), rounding=Rounding())
    take_step = prepare(trial)
    seconds = []
    batches = load_batches(
        job.sequences,
        seed=job.run.seed,
        sequences_per_step=job.optim.sequences_per_step,
        first_step=0,
        steps=min(job.optim.steps, _WARM_UP + _MEASURED),
    )
    for step, batch in enumerate(batches, start=1):
        start = time.perf_counter()
        take_step(step, batch).read()
        seconds.append(time.perf_counter() - start)
    return job.optim.steps * statistics.median(seconds[_WARM_UP:] or seconds)
