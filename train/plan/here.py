"""This machine as one of the table: how fast it is was measured, on passes and moves of the very run."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from train.model import build_model
from train.numerics import Choices, free_memory_bytes, look_at_machine
from train.parallel import ParallelConfig, micro_steps
from train.plan.estimate import count, estimate
from train.plan.machines import Machine, price_here
from train.plan.needs import Needs
from train.records import BadInput
from train.run import Job, LoggerConfig, Metrics, RunConfig, seconds_of_step

_MOST = {"cpu": 2e12, "cuda": 2e14}  # operations of a pass that is worth the wait: seconds
_ELSEWHERE = "Another may be named with --machine"


class TooLarge(BadInput):
    """A run that this machine cannot even be measured with."""


def machine_here(needs: Needs, run: RunConfig, precision: str) -> Machine:
    """A few passes over some sequences of invented tokens are taken, and thrown away. Raises TooLarge if one sequence
    is too much for that."""
    choices = look_at_machine(precision, run.compile, run.threads)
    flops = count(needs).flops
    at_once = _worth_a_trial(needs, flops / (needs.optim.steps * needs.optim.sequences_per_step), choices)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            folder=Path(folder),
            model=build_model(needs.model),
            sequences=needs.sequences(),
            run=run,
            optim=needs.optim,
            parallel=needs.parallel,
            choices=choices,
            config_digest="",
            open_metrics=lambda step: Metrics(Path(folder), step, LoggerConfig(), "plan", {}),
            watch=lambda model, step: {},
        )
        seconds = needs.optim.steps * seconds_of_step(job, at_once)
    watts = 1000 * price_here(3600).kwh
    return Machine(f"this one ({os.cpu_count()} cores)", 1, flops / seconds, 1.0, watts, 0.0)


def _worth_a_trial(needs: Needs, flops: float, choices: Choices) -> int:
    """How many sequences, of so many operations each, a trial takes: a pass of the run, or less of a large one."""
    most, per_step = _MOST[choices.device], needs.optim.sequences_per_step
    if flops > most:
        raise TooLarge(f"one sequence takes {flops:.1e} operations, too many to measure it with. {_ELSEWHERE}")
    at_once = min(per_step // micro_steps(per_step, needs.parallel.sequences_per_device), int(most // flops))
    free = free_memory_bytes(choices.device)
    while (wanted := _memory(needs, at_once, choices.precision)) > free:
        if at_once == 1:
            raise TooLarge(
                f"one sequence takes {wanted / 1e9:.1f} GB of memory, of which {free / 1e9:.1f} are free. {_ELSEWHERE}"
            )
        at_once //= 2
    return at_once


def _memory(needs: Needs, at_once: int, precision: str) -> int:
    """Bytes that a step of so many sequences takes here."""
    parallel = ParallelConfig(
        activation_checkpointing=needs.parallel.activation_checkpointing, sequences_per_device=at_once
    )
    optim = replace(needs.optim, sequences_per_step=at_once)
    return sum(estimate(replace(needs, parallel=parallel, optim=optim, precision=precision)).memory.values())
