"""A few steps of a small training on invented tokens; prints the chain's last digest. For other processes, processors.

python -m tests.numerics.steps '{"family": "llama", "folder": "/tmp/x", "steps": 3}'
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.config import compose
from train.model import build_model
from train.numerics import Choices, Rounding
from train.parallel import Mesh, choose_plan, open_replicas
from train.plan.estimate import Needs
from train.run import Job, LoggerConfig, Metrics, read_metrics, train

SMALL = {"llama": ["model.n_kv_heads=1", "model.d_head=32"], "t5": ["model.d_head=32"]}


def take_steps(
    folder: str,
    family: str = "llama",
    optimizer: str = "muon",
    precision: str = "float64",
    steps: int = 4,
    until: int = 0,
    threads: int = 1,
    at_once: int = 4,
    compiling: bool = False,
    decided: Any = (),
    more: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The chain of a training whose data, weights, masks and order depend on nothing but the words below."""
    words = [
        "+experiment=smoke", f"model={family}", f"optim={optimizer}", "model.seq_len=32", "optim.schedule=wsd",
        "optim.sequences_per_step=4", "optim.weight_decay=0.1", "optim.warmup_steps=1", f"optim.steps={steps}",
        "run.publish=2", "run.evaluate_every=1000", "run.checkpoint_every=1000", *SMALL.get(family, []), *more,
    ]  # fmt: skip
    config = compose(words)
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        metrics = lambda step: Metrics(Path(folder), step, LoggerConfig(), "steps", {})  # noqa: E731
        job = Job(
            folder=Path(folder),
            model=build_model(config.model),
            sequences=needs.sequences(),
            run=config.run,
            optim=config.optim,
            parallel=replace(config.parallel, sequences_per_device=at_once),
            choices=Choices(precision=precision, compile=compiling, threads=threads, device="cpu"),
            config_digest="",
            open_metrics=metrics if replicas.first else nullcontext,
            watch=lambda model, step: {},
            replicas=replicas,
            mesh=Mesh(choose_plan(config.parallel, replicas.count, parameters=1, memory=1e9, sequences_per_step=4)),
            rounding=Rounding(decided),
            until=until,
        )
        Path(folder).mkdir(parents=True, exist_ok=True)
        train(job)
    return read_metrics(Path(folder) / "chain.jsonl")


if __name__ == "__main__":
    chain = take_steps(**json.loads(sys.argv[1]))
    if int(os.environ.get("RANK", "0")) == 0:
        print(json.dumps(chain[-1]))
