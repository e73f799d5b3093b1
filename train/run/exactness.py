"""Before an exact training: that its operations are all known to be safe, and how soon two machines would part."""

import copy
from dataclasses import replace

import numpy as np
from torch import Tensor

from train.batches import load_batches
from train.numerics import OnlySafe, Rounding, expected_flips
from train.optim import orthogonalise
from train.parallel import Mesh, Replicas
from train.run.job import Job
from train.run.loop import Step, prepare

_WARM_UP = 3  # steps: at the first one most gradients are zero


def check_operations(job: Job) -> None:
    """Take one step with a copy of the model and one sequence. Raises BadInput at an operation that is not known to be
    safe (train/numerics/safe.py): such a run would part from another one without a word."""
    take_step = _trial(job, sequences_per_step=1)
    for step in {0, job.optim.halved_steps}:  # halves, and a whole sequence
        batch = job.sequences.batch(np.zeros(1, np.int64), job.run.seed, step)
        with OnlySafe(compiled=True):
            take_step.gradients(batch)
    with OnlySafe(compiled=False):
        take_step.move(1)


def flips_per_step(job: Job) -> float:
    """How many roundings of a step would fall otherwise on another machine, on average.

    Gradients are made twice, from all sequences at once and one at a time, Muon's directions twice, with the columns in
    another order: what parts the two is the noise.
    """
    size = job.optim.sequences_per_step
    whole, apart = _trial(job, size, size), _trial(job, size, 1)
    first = job.optim.halved_steps  # of those that read whole sequences
    last = first + min(job.optim.steps, _WARM_UP + 1)
    batches = load_batches(job.sequences, seed=job.run.seed, sequences_per_step=size, first_step=first, steps=last)
    found = 0.0
    for step, batch in enumerate(batches, start=1):
        whole.gradients(batch)
        apart.gradients(batch)
        pairs = zip(whole.model.parameters(), apart.model.parameters(), strict=True)
        found = sum(expected_flips(a.grad, b.grad) for a, b in pairs if a.grad is not None and b.grad is not None)
        whole.move(step)
        apart.move(step)
    muon = whole.optimizers.get("muon")
    momenta = [state["momentum"].double()[None] for state in muon.state.values()] if muon is not None else []
    return found + sum(_flips_of_directions(x, job.optim.newton_schulz_steps) for x in momenta)


def _flips_of_directions(matrix: Tensor, steps: int) -> float:
    return expected_flips(orthogonalise(matrix, steps), orthogonalise(matrix.flip(2), steps).flip(2))


def _trial(job: Job, sequences_per_step: int, at_once: int = 1) -> Step:
    """A step of a copy of the model, alone and not compiled."""
    trial = replace(
        job,
        model=copy.deepcopy(job.model),
        optim=replace(job.optim, sequences_per_step=sequences_per_step),
        parallel=replace(job.parallel, sequences_per_device=at_once),
        choices=replace(job.choices, compile=False),
        replicas=Replicas(),
        mesh=Mesh(),
        rounding=Rounding(),
    )
    return prepare(trial)
