"""The run: the loop, checkpoints, signals, metrics and plots."""

from train.run.checkpoint import CHECKPOINT_FILES, list_checkpoints, load_weights, read_tensors
from train.run.exactness import check_operations, flips_per_step
from train.run.flops import count_flops, count_flops_of_run
from train.run.folder import RunFolder
from train.run.forecast import forecast_seconds, seconds_of_step
from train.run.job import Job, Precision, RunConfig
from train.run.keeper import published_steps
from train.run.lock import lock_folder
from train.run.loop import Step, prepare, train
from train.run.metrics import LoggerConfig, LoggerName, Metrics, check_logger, progress, read_metrics, say
from train.run.plots import plot_run
from train.run.signals import Stopped

__all__ = [
    "CHECKPOINT_FILES",
    "Job",
    "LoggerConfig",
    "LoggerName",
    "Metrics",
    "Precision",
    "RunConfig",
    "RunFolder",
    "Step",
    "Stopped",
    "check_logger",
    "check_operations",
    "count_flops",
    "count_flops_of_run",
    "flips_per_step",
    "forecast_seconds",
    "list_checkpoints",
    "load_weights",
    "lock_folder",
    "plot_run",
    "prepare",
    "progress",
    "published_steps",
    "read_metrics",
    "read_tensors",
    "say",
    "seconds_of_step",
    "train",
]
