"""What `plan` says that a device holds, beside what torch's allocator gave out in a real step on a processor.

    python -m benchmarks.memory [--only llama] [--words parallel.shard=2]

Seven families, two sizes, every plan of one and two processes (gloo), every kind of checkpointing; blocks are not
compiled. Each case takes two steps of the real loop: the second is measured, when the optimizers have their state. What
is measured: weights and state at its start, and from there all that the profiler saw the allocator give and take.
Writes benchmarks/results/memory.json, and the table into docs/parallel.md between its marks. Other things that run on
the machine change nothing here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.families import FAMILIES
from benchmarks.measure import write_result, write_table
from train.batches import load_batches
from train.config import Config, compose
from train.model import build_model
from train.numerics import Choices, local
from train.parallel import Mesh, Replicas, choose_plan, open_replicas
from train.plan import Needs, memory_of
from train.records import read_json, write_json
from train.release.cards import table
from train.run import Job, LoggerConfig, Metrics
from train.run.loop import prepare

DECODERS = ("gpt2", "bloom", "llama", "falcon")
SIZES = {
    "wide": [
        "run.precision=bfloat16", "tokenizer.vocab_size=1024", "model.seq_len=128", "model.d_model=256",
        "model.n_layers=3",
    ],
    "long": [
        "run.precision=float32", "tokenizer.vocab_size=512", "model.seq_len=512", "model.d_model=64",
        "model.n_layers=4",
    ],
}  # fmt: skip
PLANS = {1: ["", *(f"parallel.activation_checkpointing={kind}" for kind in ("selective", "full"))]}
PLANS[2] = [f"parallel.{axis}=2" for axis in ("shard", "tensor", "context")]


def cases(only: str, words: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(how many processes, family and size and plan)."""
    for count, plans in PLANS.items():
        for family in FAMILIES:
            for size in SIZES:
                for plan in plans:
                    wanted = only in {"", family} and (not words or plan == words)
                    if wanted and ("context" not in plan or family in DECODERS):
                        yield count, {"family": family, "size": size, "plan": plan}


def config_of(case: dict[str, str]) -> Config:
    """The run that a case stands for."""
    plan = [case["plan"]] if case["plan"] else []
    return compose(
        ["+experiment=tiny", f"model={case['family']}", "optim.sequences_per_step=4", *SIZES[case["size"]], *plan]
    )


def needs_of(config: Config) -> Needs:
    """What `plan` takes of it."""
    sentinels = config.tokenizer.sentinels
    return Needs(config.model, config.objective, config.optim, config.parallel, sentinels, config.run.precision)


def measure(case: dict[str, str], replicas: Replicas, folder: Path) -> int:
    """The most bytes that this process held in a step."""
    config = config_of(case)
    plan = choose_plan(
        config.parallel, replicas.count, parameters=1, memory=1e9, sequences_per_step=config.optim.sequences_per_step
    )
    with torch.device("meta"):
        model = build_model(config.model)
    job = Job(
        folder=folder, model=model, sequences=needs_of(config).sequences(), run=config.run, optim=config.optim,
        parallel=config.parallel, config_digest="", watch=lambda model, step: {}, replicas=replicas, mesh=Mesh(plan),
        choices=Choices(precision=config.run.precision, compile=False, threads=1, device="cpu"),
        open_metrics=lambda step: Metrics(folder, step, LoggerConfig(), "memory", {}),
    )  # fmt: skip
    torch.set_num_threads(1)
    take_step = prepare(job)
    first, second = load_batches(
        job.sequences, seed=0, sequences_per_step=config.optim.sequences_per_step, first_step=0, steps=2
    )
    take_step(1, first)
    states = [state for optimizer in take_step.optimizers.values() for state in optimizer.state.values()]
    held = [*model.parameters(), *(v for state in states for v in state.values() if isinstance(v, torch.Tensor))]
    before = sum(
        storage.nbytes() for storage in {s._cdata: s for s in (local(t).untyped_storage() for t in held)}.values()
    )
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        take_step(2, second)
    return before + _highest(seen)


def _highest(seen: Any) -> int:
    """The most that was given out and not yet taken back."""
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    total = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        highest = max(highest, total)
    return highest


def measure_all(count: int, asked: list[dict[str, str]]) -> list[int]:
    """The same of many cases, on so many processes: of each the process that holds the most."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder / "cases.json", asked)
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        subprocess.run([*launch, "-m", "benchmarks.memory", "--folder", name], check=True)
        return [int(size) for size in read_json(folder / "measured.json")]


def one_process(folder: Path) -> None:
    """What each of the processes does."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        found = [replicas.largest(measure(case, replicas, folder)) for case in read_json(folder / "cases.json")]
        if replicas.first:
            write_json(folder / "measured.json", found)


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table, in MB."""
    said, measured = found["planned"] / 1e6, found["measured"] / 1e6
    plan = found["plan"].removeprefix("parallel.") or "one device"
    return found["family"], found["size"], plan, f"{said:.1f}", f"{measured:.1f}", f"{said / measured - 1:+.1%}"


def main() -> None:
    """Print the table; write it, and the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--words", default="")
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.folder:
        one_process(Path(options.folder))
        return
    found: list[dict[str, Any]] = []
    for count in PLANS:
        asked = [case for number, case in cases(options.only, options.words) if number == count]
        for case, measured in zip(asked, measure_all(count, asked) if asked else [], strict=True):
            parts = memory_of(needs_of(config_of(case)))
            found.append({**case, "planned": sum(parts.values()), "measured": measured, "parts": parts})
            print(json.dumps(found[-1]), flush=True)
    text = table(("family", "size", "plan", "planned, MB", "measured, MB", "off by"), [row(case) for case in found])
    print(text)
    if not options.only and not options.words:
        write_result("memory", {"cases": found})
        write_table("memory", "parallel", text)


if __name__ == "__main__":
    main()
