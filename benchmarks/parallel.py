"""What it costs to be ready for several processes, and what two of them bring.

    python -m benchmarks.parallel [--parts bare,fsdp,checkpoint,scaling] [--sizes tiny,small] [--rounds 6] [--steps 4]

bare: our step with the empty plan beside a loop with the same parts and no plan at all. fsdp: FSDP2 at world size 1
(a plan leaves it out there, so it is put in by hand) beside the empty plan. checkpoint: seconds for which a save stops
the training, and what it costs in all until it is on the disk, in steps; `waiting` is the same save, waited for.
scaling: one process with a thread, one with two, two with a thread each. Tokens are invented. What is compared takes
turns in one process (scaling: in one run); each ratio is the median of the rounds.

A step of `small` is cut from 131,072 tokens to one of its eight passes, 16,384, or it would take minutes: what is
counted in steps is counted in these.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import distributed

from benchmarks.loop import bare, batches_of, ratio, timed
from benchmarks.measure import median, write_result
from train.config import Config, compose
from train.model import build_model
from train.numerics import Choices, look_at_machine, settle
from train.optim import make_optimizers
from train.parallel import Mesh, Replicas, choose_plan, open_replicas, spread_model
from train.parallel.apply import _shard
from train.parallel.mesh import ALONE
from train.plan import Needs
from train.run import Job, Precision, Step, prepare
from train.run.keeper import Keeper

_WARM_UP = 2
_SEQUENCES = {"smoke": 4, "tiny": 32, "small": 32}  # a step, in one pass; `smoke` is to try this with
Turns = dict[str, Callable[[], list[float]]]


def config_of(size: str, steps: int) -> Config:
    """An experiment with short steps, and too many of them for any to be published."""
    count = _SEQUENCES[size]
    words = [f"optim.sequences_per_step={count}", f"parallel.sequences_per_device={count}", "optim.warmup_steps=1"]
    return compose([f"+experiment={size}", *words, f"optim.steps={max(steps, 10**5)}", "run.publish=1"])


def job_for(config: Config, choices: Choices, folder: Path, replicas: Replicas | None = None) -> Job:
    """A training on invented tokens."""
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
    replicas = replicas or Replicas()
    plan = choose_plan(
        config.parallel, replicas.count, parameters=1, memory=1e12, sequences_per_step=config.optim.sequences_per_step
    )
    return Job(
        folder=folder, model=build_model(config.model), sequences=needs.sequences(), run=config.run, optim=config.optim,
        parallel=config.parallel, choices=choices, config_digest="", open_metrics=lambda step: nullcontext(),
        watch=lambda *_: {}, replicas=replicas, mesh=Mesh(plan),
    )  # fmt: skip


def sharded(job: Job) -> Step:
    """The step of this training with its blocks under FSDP2, at world size 1."""
    if not distributed.is_initialized():
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    spread_model(job.model, job.parallel, job.mesh, job.choices)
    _shard(job.model, Mesh(ALONE, job.choices.device), job.choices)
    job.model.initialise(0)
    return Step(job, make_optimizers(job.optim, job.model, Precision.DTYPE[job.choices.precision]))


def take_turns(turns: Turns, rounds: int) -> dict[str, list[float]]:
    """The median of each, round by round: one way, then the other, for a machine's speed drifts."""
    times: dict[str, list[float]] = {key: [] for key in turns}
    for number in range(rounds):
        for key in sorted(turns, reverse=number % 2 == 1):
            times[key].append(median(turns[key]()))
    return times


def compared(times: dict[str, list[float]], ours: str, theirs: str) -> dict[str, Any]:
    """Medians, and by how much `ours` takes longer."""
    return {
        "overhead": round(ratio(times[ours], times[theirs]) - 1, 4),
        "seconds_per_step": {key: round(median(values), 4) for key, values in times.items()},
        "seconds_by_round": {key: [round(value, 4) for value in values] for key, values in times.items()},
    }


def measure_bare(size: str, rounds: int, steps: int, choices: Choices, folder: Path) -> dict[str, Any]:
    """The empty plan beside no plan: the same losses, to the bit, and the seconds."""
    config = config_of(size, steps)
    job = job_for(config, choices, folder)
    batches = batches_of(replace(config, optim=replace(config.optim, steps=steps)), job.sequences)
    steps_of = {"ours": prepare(job), "bare": bare(config, choices)}
    for number, batch in enumerate(batches, start=1):
        loss = steps_of["ours"](number, batch).read()[0]
        assert loss == steps_of["bare"](number, batch), f"step {number} of the bare loop is another"
    turns: Turns = {name: lambda step=step: timed(step, batches) for name, step in steps_of.items()}
    return compared(take_turns(turns, rounds), "ours", "bare")


def measure_fsdp(size: str, rounds: int, steps: int, choices: Choices, folder: Path) -> dict[str, Any]:
    """FSDP2 at world size 1 beside the empty plan."""
    config = config_of(size, steps)
    jobs = [job_for(config, choices, folder) for _ in range(2)]
    empty, under = prepare(jobs[0]), sharded(jobs[1])
    short = replace(config, optim=replace(config.optim, steps=steps))
    batches = batches_of(short, jobs[0].sequences)
    turns: Turns = {"empty": lambda: timed(empty, batches), "fsdp": lambda: timed(under, batches)}
    for turn in turns.values():
        turn()
    return compared(take_turns(turns, rounds), "fsdp", "empty")


def measure_checkpoint(size: str, rounds: int, steps: int, choices: Choices, folder: Path) -> dict[str, Any]:
    """What a save takes of the training, in steps: beside it, and waited for."""
    config = config_of(size, steps)
    job = job_for(config, choices, folder)
    step = prepare(job)
    batches = batches_of(replace(config, optim=replace(config.optim, steps=steps)), job.sequences)
    timed(step, batches)
    rows: dict[str, list[float]] = {"step": [], "stop": [], "in_all": [], "waiting": []}
    with Keeper(job, step.optimizers) as keeper:
        keeper.save(0)  # the first takes room that later ones find
        keeper.settle()
        for number in range(1, 2 * rounds, 2):
            rows["step"].append(median(timed(step, batches)))
            start = time.perf_counter()
            keeper.save(number)
            rows["stop"].append(time.perf_counter() - start)
            timed(step, batches)
            keeper.settle()
            rows["in_all"].append(time.perf_counter() - start - len(batches) * rows["step"][-1])
            start = time.perf_counter()
            keeper.save(number + 1)
            keeper.settle()
            rows["waiting"].append(time.perf_counter() - start)
    return {
        "bytes": sum(file.stat().st_size for file in folder.glob("checkpoints/*/*.safetensors")),
        "in_steps": {key: round(ratio(rows[key], rows["step"]), 4) for key in ("stop", "in_all", "waiting")},
        "seconds": {key: round(median(values), 4) for key, values in rows.items()},
        "seconds_by_round": {key: [round(value, 4) for value in values] for key, values in rows.items()},
    }


def measure_scaling(size: str, rounds: int, steps: int, choices: Choices, folder: Path) -> dict[str, Any]:
    """Tokens a second of one process with one thread, with two, and of two with one each."""
    ways = {"one process, one thread": (1, 1), "one process, two threads": (1, 2), "two processes": (2, 1)}
    turns: Turns = {
        name: lambda count=count, threads=threads: _processes(count, threads, size, steps)
        for name, (count, threads) in ways.items()
    }
    times = take_turns(turns, rounds)
    first, config = next(iter(ways)), config_of(size, steps)
    tokens = config.optim.sequences_per_step * config.model.seq_len
    return {
        "tokens_per_second": {key: round(tokens / median(values), 1) for key, values in times.items()},
        "speed_up": {key: round(ratio(times[first], values), 3) for key, values in times.items()},
        "seconds_by_round": {key: [round(value, 4) for value in values] for key, values in times.items()},
    }


def _processes(count: int, threads: int, size: str, steps: int) -> list[float]:
    """Seconds of each step, from processes of their own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.parallel", "--one-of", str(threads), "--sizes", size]
    running = [
        subprocess.Popen(
            [*command, "--steps", str(steps)], stdout=subprocess.PIPE, text=True,
            env={
                **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
                "OMP_NUM_THREADS": str(threads),
            },
        )
        for rank in range(count)
    ]  # fmt: skip
    said = [process.communicate()[0] for process in running]
    return [float(value) for value in json.loads(said[0].splitlines()[-1])]


def one_of_several(size: str, steps: int, choices: Choices) -> list[float]:
    """What each of them does."""
    config = config_of(size, steps)
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        job = job_for(config, choices, Path(), replicas)
        step = prepare(job)
        batches = batches_of(replace(config, optim=replace(config.optim, steps=steps + _WARM_UP)), job.sequences)
        return timed(step, batches)[_WARM_UP:]


MEASURES = {
    "bare": measure_bare,
    "fsdp": measure_fsdp,
    "checkpoint": measure_checkpoint,
    "scaling": measure_scaling,
}


def main() -> None:
    """Measure, print and write benchmarks/results/parallel-SIZE-PART.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(MEASURES))
    parser.add_argument("--sizes", default="tiny,small")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--one-of", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    choices = look_at_machine(threads=given.one_of) if given.one_of else look_at_machine()
    settle(choices)
    if given.one_of:
        print(json.dumps(one_of_several(given.sizes, given.steps, choices)))
        return
    common = {"choices": choices.record(), "rounds": given.rounds, "steps": given.steps}
    for size in given.sizes.split(","):
        for part in given.parts.split(","):
            with tempfile.TemporaryDirectory() as folder:
                found = MEASURES[part](size, given.rounds, given.steps, choices, Path(folder))
            print(size, part, json.dumps(found, indent=2), flush=True)
            write_result(f"parallel-{size}-{part}", {**found, **common})


if __name__ == "__main__":
    main()
