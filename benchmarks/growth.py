"""How cost grows: tokens a second and memory against width, depth, sequence length, vocabulary and processes.

    python -m benchmarks.growth [--axes width,depth,length,vocabulary] [--steps 6]
    python -m benchmarks.growth --axes processes

From `tiny`'s model, one thing changed at a time, 2,048 invented tokens a step (the processes: 4 x 2,048, shared out).
Each point is a process of its own, for its memory; blocks are not compiled, so that no point is about the time that
takes. Writes benchmarks/results/growth.json and docs/growth.png; of processes, which want more than one core,
growth-processes.json and growth-processes.png. What corpora cost: benchmarks.corpora.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import median, write_result

DOCS = Path(__file__).parent.parent / "docs"
_PROCESSES = "processes"
_WARM_UP = 2
AXES: dict[str, tuple[str, list[int]]] = {
    "width": ("model.d_model", [128, 256, 512, 1024]),
    "depth": ("model.n_layers", [2, 4, 8, 16]),
    "length": ("model.seq_len", [128, 256, 512, 1024, 2048]),
    "vocabulary": ("tokenizer.vocab_size", [1024, 4096, 16384, 65536]),
    _PROCESSES: ("parallel.replicate", [1, 2, 4]),
}


def words_of(axis: str, value: int) -> list[str]:
    """The command line of a point."""
    words = [f"{AXES[axis][0]}={value}"]
    if axis == "width":
        words += [f"model.n_heads={value // 64}"]
    if axis == _PROCESSES:
        words += ["optim.sequences_per_step=32", "parallel.sequences_per_device=8"]
    return words


def take_point(words: list[str], steps: int) -> dict[str, Any]:
    """Some steps of this config, in this process and those started with it."""
    from train.batches import load_batches
    from train.config import compose
    from train.model import build_model
    from train.numerics import look_at_machine, peak_memory_bytes
    from train.parallel import open_replicas
    from train.plan import Needs
    from train.run import Job, prepare
    from train.training import plan_of, share_out

    config = compose(["+experiment=tiny", *words])
    with open_replicas(600) as replicas:
        choices = look_at_machine("auto", "none", 1 if replicas.count > 1 else 0)
        needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
        optim = replace(config.optim, warmup_steps=0)
        job = Job(
            folder=Path(), model=build_model(config.model), sequences=needs.sequences(), run=config.run, optim=optim,
            parallel=config.parallel, choices=choices, config_digest="", open_metrics=lambda step: None,  # type: ignore[arg-type,return-value]
            watch=lambda model, step: {}, replicas=replicas,
        )  # fmt: skip
        take_step = prepare(share_out(job, plan_of(config, replicas, choices.device)))
        batches = load_batches(
            job.sequences, seed=0, sequences_per_step=optim.sequences_per_step, first_step=0, steps=steps + _WARM_UP
        )
        seconds = []
        for step, batch in enumerate(batches, start=1):
            start = time.perf_counter()
            take_step(step, batch).read()
            seconds.append(time.perf_counter() - start)
        return {
            "tokens_per_second": round(job.tokens_per_step / median(seconds[_WARM_UP:]), 1),
            "peak_memory_mb": round(peak_memory_bytes() / 1e6, 1),
            "parameters": sum(p.numel() for p in job.model.parameters()),
        }


def point(axis: str, value: int, steps: int) -> dict[str, Any]:
    """A point in processes of its own; of several, what the first measured (each has its own memory)."""
    words, count = words_of(axis, value), value if axis == _PROCESSES else 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.growth", "--steps", str(steps), "--point", json.dumps(words)]
    place = {"LOCAL_WORLD_SIZE": str(count), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else None,
        )
        for rank in range(count)
    ]  # fmt: skip
    outs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"{axis}={value}: it ended without an answer")
    return {"value": value, **json.loads(outs[0].splitlines()[-1])}


def plot(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Speed above, memory below, a column for each axis."""
    from train.run.plots import BLUE, ORANGE, save_figure, styled_axes

    figure, axes = styled_axes("tiny, one thing changed at a time", 2, len(found), sharex=False)
    axes = np.reshape(axes, (2, len(found)))
    for column, (axis, points) in enumerate(found.items()):
        values = [point["value"] for point in points]
        for row, (key, colour) in enumerate((("tokens_per_second", BLUE), ("peak_memory_mb", ORANGE))):
            panel = axes[row][column]
            panel.plot(values, [point[key] for point in points], "o-", color=colour)
            panel.set_xscale("log", base=2)
            panel.set_xticks(values, [f"{value:,}" for value in values])
            panel.minorticks_off()
            panel.set_ylim(0, 1.08 * max(point[key] for point in points))
        axes[1][column].set_xlabel(axis)
    axes[0][0].set_ylabel("tokens per second")
    axes[1][0].set_ylabel("peak memory of a process (MB)")
    save_figure(figure, path)


def main() -> None:
    """Measure, print, plot, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", default=",".join(axis for axis in AXES if axis != _PROCESSES))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.point is not None:
        print(json.dumps(take_point(given.point, given.steps)))
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for axis in given.axes.split(","):
        found[axis] = []
        for value in AXES[axis][1]:
            found[axis].append(point(axis, value, given.steps))
            print(f"{axis:12} {found[axis][-1]}", flush=True)
    name = "growth-processes" if list(found) == [_PROCESSES] else "growth"
    write_result(name, {"axes": found, "steps": given.steps})
    plot(found, DOCS / f"{name}.png")


if __name__ == "__main__":
    main()
