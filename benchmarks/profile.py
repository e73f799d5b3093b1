"""Where a step's time goes, by part and by family, as an experiment runs on this machine.

    python -m benchmarks.profile [--experiment tiny] [--families llama,bert] [--steps 12] [--sequences 4]
        [--precision float8]

data: making the batch (in the run a thread does it ahead) · forward: the blocks · loss: head and softmax with their
gradients · backward: the blocks' gradients · clip · optimizer · host: what is left. Medians; shares of the whole step.
`peak`: the share of this machine's bf16 (or float32) matrix peak, measured on one large product, that a step reaches.
With `--sequences` a step has fewer: one made for a node takes a processor hours.
With `--precision float8` a family is measured in bfloat16 as well, just before; `peak` is that of bfloat16 for both.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks.measure import median, write_result
from train.batches import order
from train.config import compose
from train.model import FAMILIES, build_model
from train.numerics import Choices, look_at_machine
from train.plan import Needs
from train.run import Job, Precision, Step, count_flops, prepare

_SEQUENCES = ("optim.sequences_per_step", "parallel.sequences_per_device")
_PARTS = ("data", "forward", "loss", "backward", "clip", "optimizer")


class Clock:
    """Seconds by part, of the step that is going on."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(_PARTS, 0.0)

    def timed(self, part: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """`act`, its seconds counted to `part`."""

        def timed(*args: Any, **more: Any) -> Any:
            start = now()
            try:
                return act(*args, **more)
            finally:
                self.seconds[part] += now() - start

        return timed


def now() -> float:
    """Seconds, when all that was asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def profile(words: list[str], steps: int, choices: Choices, peak: float) -> dict[str, Any]:
    """The shares of a step of what `words` say; a third of the steps, three at most, are not counted."""
    from train.run import loop

    config = compose(words)
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
    job = Job(
        model=build_model(config.model), sequences=needs.sequences(), run=config.run, optim=config.optim,
        parallel=config.parallel, choices=choices, config_digest="", **_silent(),
    )  # fmt: skip
    count = config.optim.sequences_per_step
    flops = count * count_flops(job.model, job.sequences.batch(order(0, 0, sequences=9, sequences_per_step=1), 0, 0))
    clock, take_step, clip = Clock(), prepare(job), loop.clip_gradients
    warm_up = min(3, steps // 3)
    _watch(take_step, clock)
    rows = []
    for step in range(steps):
        clock.seconds = dict.fromkeys(_PARTS, 0.0)
        start = now()
        loop.clip_gradients = clock.timed("clip", clip)
        numbers = order(0, step, sequences=len(job.sequences), sequences_per_step=count)
        batch = clock.timed("data", job.sequences.batch)(numbers, 0, step)
        take_step(step + 1, batch).read()
        rows.append({**clock.seconds, "step": now() - start})
    loop.clip_gradients = clip
    whole = median([row["step"] for row in rows[warm_up:]])
    shares = {part: round(median([row[part] / row["step"] for row in rows[warm_up:]]), 3) for part in _PARTS}
    shares["host"] = round(1 - sum(shares.values()), 3)
    return {
        "seconds_per_step": round(whole, 4), "tokens_per_second": round(count * config.model.seq_len / whole, 1),
        "shares": shares, "peak": round(flops / whole / peak, 3),
    }  # fmt: skip


def _watch(take_step: Step, clock: Clock) -> None:
    """Count the seconds of a step's parts."""
    model = take_step.model
    model.hidden = clock.timed("forward", model.hidden)  # type: ignore[method-assign]
    for name, part in (("_loss", "loss"), ("move", "optimizer")):
        setattr(take_step, name, clock.timed(part, getattr(take_step, name)))
    take_step._fabric.backward = clock.timed("backward", take_step._fabric.backward)


def _silent() -> dict[str, Any]:
    from contextlib import nullcontext
    from pathlib import Path

    return {"folder": Path(), "open_metrics": lambda step: nullcontext(), "watch": lambda model, step: {}}


def measured_peak(choices: Choices) -> float:
    """Operations a second of a product of square matrices, the best of 20, in the precision of the run: of 2,048 rows,
    on a GPU of 8,192, as a smaller product would be over before it is at its speed."""
    side = 8192 if choices.device == "cuda" else 2048
    a = torch.randn(side, side, dtype=Precision.DTYPE[choices.precision], device=choices.device)
    seconds = []
    for _ in range(20):
        start = now()
        a @ a
        seconds.append(now() - start)
    return 2 * side**3 / min(seconds)


def compare(plain: dict[str, Any], low: dict[str, Any]) -> str:
    """Put into `low` how much faster it is than `plain`; the same in words."""
    plain_speed, speed = plain["tokens_per_second"], low["tokens_per_second"]
    low["speed_up_over_bfloat16"] = ratio = round(speed / plain_speed, 3)
    return f"{speed:,.0f} tokens a second in float8, {plain_speed:,.0f} in bfloat16: {ratio} times"


def main() -> None:
    """Print the table and write benchmarks/results/profile-EXPERIMENT.json; of float8 profile-EXPERIMENT-float8."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="tiny")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--sequences", type=int, default=0, help="of a step; as many go through the model at once")
    parser.add_argument("--precision", default="auto", help="float8: beside bfloat16")
    given = parser.parse_args()
    choices = look_at_machine(given.precision)
    torch.set_num_threads(choices.threads)
    low = choices.precision == "float8"
    turns = {" bfloat16": replace(choices, precision="bfloat16"), " float8": choices} if low else {"": choices}
    peak, found = measured_peak(choices), {}
    print(f"{Precision.DTYPE[choices.precision]} products: {peak / 1e9:.0f} GFLOP/s")
    print(f"{'':16} {'ms':>6} {'peak':>6}  " + "  ".join(f"{part:>9}" for part in (*_PARTS, "host")))
    cut = [f"{name}={given.sequences}" for name in _SEQUENCES] if given.sequences else []
    for family in given.families.split(","):
        words = [f"+experiment={given.experiment}", f"model={family}", *cut]
        for name, computed in turns.items():
            found[family + name] = one = profile(words, given.steps, computed, peak)
            shares = "  ".join(f"{100 * share:7.1f} %" for share in one["shares"].values())
            speed = f"{1000 * one['seconds_per_step']:6.0f} {100 * one['peak']:4.0f} %"
            print(f"{family + name:16} {speed}  {shares}", flush=True)
        if low:
            print(compare(found[f"{family} bfloat16"], found[f"{family} float8"]), flush=True)
    values = {"flops_per_second": round(peak), "families": found, "choices": choices.record()}
    if given.sequences:
        values["sequences_per_step"] = given.sequences
    write_result(f"profile-{given.experiment}" + "-float8" * low, values)


if __name__ == "__main__":
    main()
