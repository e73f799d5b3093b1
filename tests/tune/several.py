"""A tuning in a folder whose tokens are there, in this process alone or as one of several."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.config import compose
from train.numerics import Choices
from train.parallel import Replicas, open_replicas
from train.run import LoggerConfig, Metrics, read_metrics, train
from train.training import job_of, plan_of, share_out
from train.watching import watch_with


def tune(case: dict[str, Any], replicas: Replicas | None = None) -> dict[str, Any]:
    """{"words", "axes", "precision", "folder", "until"}: the weights' digest, and what was said of each step."""
    replicas, folder = replicas or Replicas(), Path(case["folder"])
    config = compose([*case["words"], *(f"parallel.{axis}={size}" for axis, size in case["axes"].items())])
    made = Path(config.run.folder) / config.run.name
    choices = Choices(precision=case["precision"], compile=False, threads=1, device="cpu")
    job = job_of(config, made, choices, replicas, watch_with(config, made, lambda line: None))
    folder.mkdir(parents=True, exist_ok=True)
    metrics = (lambda step: Metrics(folder, step, LoggerConfig(), "x", {})) if replicas.first else nullcontext
    job = replace(job, folder=folder, open_metrics=metrics, until=case.get("until", 0))
    digest = train(share_out(job, plan_of(config, replicas, "cpu")))["weights_digest"]
    return {"digest": digest, "rows": read_metrics(folder / "metrics.jsonl")}


def tune_all(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Case after case in the same processes."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        return [tune(case, replicas) for case in cases]
