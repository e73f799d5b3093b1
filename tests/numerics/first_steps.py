"""The first steps of `+experiment=exact` in a run's folder whose tokens are there; prints the chain.

python -m tests.numerics.first_steps FOLDER STEPS
"""

import sys
from dataclasses import replace
from pathlib import Path

from train.config import compose
from train.numerics import Choices
from train.parallel import Replicas
from train.run import train
from train.training import job_of

if __name__ == "__main__":
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    config = compose(["+experiment=exact", f"run.folder={folder.parent}", f"run.name={folder.name}"])
    config.run.evaluate_every = config.run.log_every = 10**9
    config.run.checkpoint_every = 1  # the chain is written with a checkpoint
    choices = Choices(precision="float64", compile=False, threads=1, device="cpu")
    job = job_of(config, folder, choices, Replicas(), lambda model, step: {})
    train(replace(job, until=steps))
    print((folder / "chain.jsonl").read_text("utf-8"), end="")
