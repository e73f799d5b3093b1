"""This machine as one of the table: how fast it is was measured, on steps of the very run."""

import os
import tempfile
from pathlib import Path

from train.model import build_model
from train.numerics import look_at_machine
from train.plan.estimate import count
from train.plan.machines import Machine, price_here
from train.plan.needs import Needs
from train.run import Job, LoggerConfig, Metrics, RunConfig, forecast_seconds


def machine_here(needs: Needs, run: RunConfig, precision: str) -> Machine:
    """A few steps of this config are taken, with invented tokens and a copy of the model, and thrown away."""
    choices = look_at_machine(precision, run.compile, run.threads)
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
        seconds = forecast_seconds(job)
    watts = 1000 * price_here(3600).kwh
    return Machine(f"this one ({os.cpu_count()} cores)", 1, count(needs).flops / seconds, 1.0, watts, 0.0)
