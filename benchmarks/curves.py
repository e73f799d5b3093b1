"""Loss curves side by side: as a run computes on this machine, and the same in float32, eager.

    python -m benchmarks.curves [RUN] [--steps 400] [--precision auto]      (default: runs/tiny, whose tokens are there)

The same weights to begin with, the same batches, optimizer and schedule as `+experiment=tiny`; both take every step in
turn. Writes benchmarks/results/curves.json and docs/curves.png; of float8 curves-float8, in both. What it shows does
not depend on the machine's load.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import DOCS, write_result
from train.batches import load_batches
from train.config import compose
from train.numerics import Choices, look_at_machine
from train.parallel import Replicas
from train.run import Step, prepare
from train.run.plots import BLUE, GREY, INK, ORANGE, save_figure, styled_axes
from train.training import job_of

_SMOOTH = 25  # steps


def arm(config: Any, folder: Path, choices: Choices) -> Step:
    """The first step's all: model, optimizers."""
    return prepare(job_of(config, folder, choices, Replicas(), lambda model, step: {}))


def smooth(values: list[float]) -> list[float]:
    """The mean of each value and up to `_SMOOTH` - 1 before it."""
    windows = (values[max(0, end - _SMOOTH) : end] for end in range(1, len(values) + 1))
    return [sum(window) / len(window) for window in windows]


def plot(losses: dict[str, list[float]], name: str) -> None:
    """Both curves, and what parts them, in docs/NAME.png."""
    figure, (top, bottom) = styled_axes("tiny: as a run computes here, and in float32, eager", 2)
    (fast, one), (plain, other) = losses.items()
    steps = range(1, len(one) + 1)
    top.plot(steps, smooth(other), color=ORANGE, linewidth=3.5, alpha=0.6, label=plain)
    top.plot(steps, smooth(one), color=BLUE, linewidth=1.2, label=fast)
    top.set_ylabel(f"loss (nats per token), mean of {_SMOOTH} steps")
    top.legend(frameon=False)
    apart = [1000 * (a - b) for a, b in zip(one, other, strict=True)]
    bottom.plot(steps, apart, color=GREY, linewidth=0.6, label="each step")
    bottom.plot(steps, smooth(apart), color=BLUE, linewidth=2, label=f"mean of {_SMOOTH} steps")
    bottom.axhline(0, color=INK, linewidth=0.8)
    bottom.set_ylabel("difference (thousandths of a nat)")
    bottom.set_xlabel("step")
    bottom.legend(frameon=False)
    save_figure(figure, DOCS / f"{name}.png")


def main() -> None:
    """Train both, plot, and write benchmarks/results/curves.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/tiny"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument(
        "--precision", default="auto", help="bfloat16, float8: where the machine would not choose it, too"
    )
    given = parser.parse_args()
    config, chosen = compose(["+experiment=tiny"]), look_at_machine(given.precision)
    torch.set_num_threads(chosen.threads)
    names = (f"{chosen.precision}, {'compiled' if chosen.compile else 'eager'}", "float32, eager")
    plain = Choices(precision="float32", compile=False, threads=chosen.threads, device=chosen.device)
    arms = {name: arm(config, given.run, choices) for name, choices in zip(names, (chosen, plain), strict=True)}
    losses: dict[str, list[float]] = {name: [] for name in arms}
    batches = load_batches(
        job_of(config, given.run, plain, Replicas(), lambda model, step: {}).sequences, seed=config.run.seed,
        sequences_per_step=config.optim.sequences_per_step, first_step=0, steps=given.steps,
    )  # fmt: skip
    for step, batch in enumerate(batches, start=1):
        for name, take_step in arms.items():
            losses[name].append(take_step(step, batch).read()[0])
        if step % 10 == 0:
            print(step, *(f"{name}: {values[-1]:.4f}" for name, values in losses.items()), flush=True)
    one, other = losses.values()
    apart = [a - b for a, b in zip(one, other, strict=True)]
    last = apart[-given.steps // 4 :]
    result = {
        "steps": given.steps,
        "losses": {name: [round(value, 5) for value in values] for name, values in losses.items()},
        "largest_difference": round(max(map(abs, apart)), 5),
        "mean_difference_in_the_last_quarter": round(sum(last) / len(last), 5),
        "choices": chosen.record(),
    }
    name = "curves" + "-float8" * (chosen.precision == "float8")
    write_result(name, result)
    plot(losses, name)
    for key in ("largest_difference", "mean_difference_in_the_last_quarter"):
        print(f"{key:36} {result[key]}")


if __name__ == "__main__":
    main()
