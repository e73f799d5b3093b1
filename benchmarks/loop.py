"""The loop beside a bare PyTorch loop, and beside the same model in float32, eager.

    python -m benchmarks.loop [--steps 12] [--rounds 6]

All three take turns in one process on `tiny`'s model and batch; each ratio is the median of the rounds. `overhead` is
the loop's seconds a step over the bare loop's (the same compiled model, loss, optimizers and precision, its batches
already in memory); `speed_up` is the eager float32 loop's (torch's own AdamW and cross-entropy) over ours.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from benchmarks.measure import median, random_tokens, write_result
from train.batches import Sequences, order
from train.batches.objectives import Causal
from train.config import Config, compose
from train.loss import linear_cross_entropy
from train.model import build_model
from train.numerics import Choices, look_at_machine
from train.optim import make_optimizers, schedule_factor, set_learning_rate
from train.parallel import apply_plan, clip_gradients
from train.run import Job, LoggerConfig, Metrics, Precision, read_metrics, train

_WARM_UP = 4


def ours(config: Config, sequences: Sequences, choices: Choices, folder: Path) -> list[float]:
    """Seconds of each step of the real loop, from its own metrics."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    job = Job(
        folder=folder, model=build_model(config.model), sequences=sequences, run=config.run, optim=config.optim,
        parallel=config.parallel, choices=choices, config_digest="", watch=lambda *_: {},
        open_metrics=lambda step: Metrics(folder, step, LoggerConfig(), "loop", {}),
    )  # fmt: skip
    train(job)
    tokens = config.optim.sequences_per_step * config.model.seq_len
    rows = [row for row in read_metrics(folder / "metrics.jsonl") if row.get("tokens_per_second")]
    return [tokens / row["tokens_per_second"] for row in rows][_WARM_UP:]


def batches_of(config: Config, sequences: Sequences) -> list[Any]:
    """All batches of a run, in memory."""
    count = config.optim.sequences_per_step
    numbers = [order(0, step, sequences=len(sequences), sequences_per_step=count) for step in range(config.optim.steps)]
    return [sequences.batch(n, 0, step) for step, n in enumerate(numbers)]


def on_device(batch: Any, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch's tokens and targets, (B, T) int64."""
    return torch.from_numpy(batch.inputs["tokens"].copy()).to(device), torch.from_numpy(batch.targets.copy()).to(device)


def bare(config: Config, choices: Choices) -> Callable[[int, Any], float]:
    """The step of a plain loop with the same parts: its number, from 1, and a batch in, the loss out."""
    model = build_model(config.model)
    model.initialise(config.run.seed)
    model.to(choices.device)
    precision = Precision.DTYPE[choices.precision]
    optimizers = make_optimizers(config.optim, model, precision)
    apply_plan(model.blocks, config.parallel, compiling=choices.compile)

    def step(number: int, batch: Any) -> float:
        tokens, targets = on_device(batch, choices.device)
        with torch.autocast(choices.device, precision, enabled=precision is not torch.float32):
            hidden = model.hidden(tokens)
        loss = linear_cross_entropy(
            hidden.flatten(0, 1), model.head.weight, targets.flatten(), precision=precision, compiling=choices.compile
        )
        loss = loss / targets.numel()
        loss.backward()
        clip_gradients(model.parameters(), config.optim.clip_norm)
        set_learning_rate(optimizers.values(), schedule_factor(config.optim, number - 1))
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return step


def timed(step: Callable[[int, Any], Any], batches: list[Any]) -> list[float]:
    """Seconds of each step."""
    seconds = []
    for number, batch in enumerate(batches, start=1):
        start = time.perf_counter()
        step(number, batch)
        seconds.append(time.perf_counter() - start)
    return seconds


def plain(config: Config, batches: list[Any], device: str = "cpu") -> list[float]:
    """Seconds of each step in float32, eager, with torch's AdamW and cross-entropy."""
    model = build_model(config.model)
    model.initialise(0)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    seconds = []
    for batch in batches:
        start = time.perf_counter()
        tokens, targets = on_device(batch, device)
        loss = functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - start)
    return seconds[_WARM_UP:]


def ratio(a: list[float], b: list[float]) -> float:
    """The median of the ratios, round by round."""
    return median([x / y for x, y in zip(a, b, strict=True)])


def main() -> None:
    """Measure, print and write benchmarks/results/loop.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    config = compose(["+experiment=tiny", f"optim.steps={given.steps}", "run.log_every=1", "run.publish=1"])
    config.run.checkpoint_every = config.run.evaluate_every = 10**9
    choices = look_at_machine()
    torch.set_num_threads(choices.threads)
    times: dict[str, list[float]] = {"ours": [], "bare": [], "plain": []}  # a median for each round
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = random_tokens(folder / "tokens", config.model.vocab_size, 400_000)
        sequences = Sequences(store, config.model.seq_len, Causal())
        batches = batches_of(config, sequences)
        ours(config, sequences, choices, folder / "run")  # compiles
        for number in range(given.rounds):
            turns = {
                "ours": lambda: ours(config, sequences, choices, folder / "run"),
                "bare": lambda: timed(bare(config, choices), batches)[_WARM_UP:],
                "plain": lambda: plain(config, batches, choices.device),
            }
            for key in sorted(turns, reverse=number % 2 == 1):  # one way, then the other: a machine's speed drifts
                times[key].append(median(turns[key]()))
    seconds = {key: median(values) for key, values in times.items()}
    tokens = config.optim.sequences_per_step * config.model.seq_len
    result = {
        "seconds_per_step": {key: round(value, 4) for key, value in seconds.items()},
        "tokens_per_second": {key: round(tokens / value, 1) for key, value in seconds.items()},
        "overhead": round(ratio(times["ours"], times["bare"]) - 1, 4),
        "speed_up_over_float32_eager": round(ratio(times["plain"], times["ours"]), 3),
        "seconds_by_round": {key: [round(value, 4) for value in values] for key, values in times.items()},
        "choices": replace(choices).record(),
        "rounds": given.rounds,
        "steps": given.steps,
    }
    write_result("loop", result)
    for key, value in result.items():
        print(f"{key:30} {value}")


if __name__ == "__main__":
    main()
