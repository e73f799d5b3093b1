"""What exact arithmetic costs beside float32, eager: the same model, batch and optimizer, in turns in one process.

    python -m benchmarks.exact [--steps 8] [--rounds 8]

Exact arithmetic is taken as `+experiment=exact` runs it (compiled, a few sequences at once: neither changes a bit).
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.measure import median, write_result
from train.batches import load_batches
from train.config import compose
from train.model import build_model
from train.numerics import Choices, has_compiler
from train.plan import Needs
from train.records import Batch
from train.run import Job, Step, prepare

_WARM_UP = 2


def main() -> None:
    """Measure, print and write benchmarks/results/exact.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args()
    threads = torch.get_num_threads()
    arms = {
        "float32_eager": _step(Choices(precision="float32", compile=False, threads=threads, device="cpu"), 16),
        "exact": _step(Choices(precision="float64", compile=has_compiler(), threads=threads, device="cpu"), 0),
    }
    batches = _batches(given.steps)
    times: dict[str, list[float]] = {name: [] for name in arms}
    for take_step in arms.values():
        _seconds(take_step, batches[:_WARM_UP])
    for number in range(given.rounds):
        for name in sorted(arms, reverse=number % 2 == 1):  # one way, then the other: a machine's speed drifts
            times[name].append(_seconds(arms[name], batches))
    ratios = [b / a for a, b in zip(times["float32_eager"], times["exact"], strict=True)]
    result = {
        "times_float32_eager": round(median(ratios), 3),
        "by_round": [round(ratio, 3) for ratio in ratios],
        "seconds_per_step": {name: round(median(values), 4) for name, values in times.items()},
    }
    write_result("exact", result)
    for key, value in result.items():
        print(f"{key:20} {value}")


def _job(choices: Choices, at_once: int) -> Job:
    config = compose(["+experiment=exact", *([f"parallel.sequences_per_device={at_once}"] if at_once else [])])
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
    return Job(
        folder=Path(), model=build_model(config.model), sequences=needs.sequences(), run=config.run,
        optim=replace(config.optim, warmup_steps=0), parallel=config.parallel, choices=choices, config_digest="",
        open_metrics=lambda step: None, watch=lambda model, step: {},
    )  # fmt: skip


def _step(choices: Choices, at_once: int) -> Step:
    return prepare(_job(choices, at_once))


def _batches(steps: int) -> list[Batch]:
    job = _job(Choices(precision="float32", compile=False, threads=1, device="cpu"), 0)
    count = job.optim.sequences_per_step
    return list(load_batches(job.sequences, seed=0, sequences_per_step=count, first_step=0, steps=steps))


def _seconds(take_step: Step, batches: list[Batch]) -> float:
    """The median step."""
    seconds = []
    for step, batch in enumerate(batches, start=1):
        start = time.perf_counter()
        take_step(step, batch).read()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


if __name__ == "__main__":
    main()
