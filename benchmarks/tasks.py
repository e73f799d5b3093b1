"""What a small model can be taught: five tasks, each beside its base as it was before and answers that take no model.

    python -m benchmarks.tasks [TASK ...] [--model llama] [--runs runs] [--limit 100]

A base that reads whole sheets is trained on English and French first (`tiny` with a window of 2,048 tokens), then tuned
on each task's examples; every release is audited. What is there already is not done again. `--model t5`: one that reads
and answers. Writes benchmarks/results/tasks.json, and the table into docs/fine-tuning.md; what is not in the folder of
runs keeps the figures that were measured last.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import earlier_result, write_result, write_table
from train.evaluate import TASKS
from train.records import read_json
from train.release import RECORD, read_release
from train.release.markdown import table

MODELS = ("llama", "t5")
STEPS = 400


def train(*words: str) -> None:
    """A run, and what it says."""
    print("\n$ python -m train", *words, flush=True)
    subprocess.run([sys.executable, "-m", "train", *words], check=True)


def release_of(runs: Path, name: str) -> Path:
    """Where a run's release lies."""
    return runs / name / "release"


def make(runs: Path, model: str, tasks: list[str], limit: int) -> None:
    """The base and the tuned models that are not there yet."""
    named = [f"run.folder={runs}", "+experiment=tiny"]
    base = release_of(runs, f"tasks-{model}")
    if not (base / RECORD).is_file():
        train(*named, "data=bilingual", f"model={model}", "model.seq_len=2048", f"run.name=tasks-{model}")
    for task in tasks:
        release = release_of(runs, f"tasks-{model}-{task}")
        if not (release / RECORD).is_file():
            asked = [f"evaluate.limit={limit}", f"optim.steps={STEPS}", f"run.name=tasks-{model}-{task}"]
            train(*named, "tune=sft", f"tune.from={base}", f"data=task_{task}", *asked)
        if not audit_of(release).is_file():
            train("audit", str(release), "--base", str(base), "--json", str(audit_of(release)))


def audit_of(release: Path) -> Path:
    """Where the answer of its audit lies."""
    return release.parent / "audit.json"


def found_in(runs: Path) -> dict[str, Any]:
    """What the releases state, by model and task."""
    found: dict[str, Any] = {}
    for model in MODELS:
        for task in TASKS:
            release = release_of(runs, f"tasks-{model}-{task}")
            if not audit_of(release).is_file():
                continue
            record, audit = read_release(release), read_json(audit_of(release))
            results = record["results"]
            found.setdefault(model, {})[task] = {
                "steps": STEPS,
                **results["task"],
                "bits_per_byte": {name: results["bits_per_byte"][name] for name in ("total", "five_gram")},
                "bits_per_byte_of_its_base": results["base"]["total"],
                "examples": record["ingredients"]["documents"]["count"],
                "tokens": record["cost"]["outcome"]["tokens"],
                "release": record["digest"],
                "failed_checks": audit["failed"],
            }
        base = release_of(runs, f"tasks-{model}")
        if (base / RECORD).is_file():
            results = read_release(base)["results"]
            bits = {name: results["bits_per_byte"][name] for name in ("total", "five_gram", "unigram")}
            found.setdefault(model, {})["generate"] = {"bits_per_byte": bits, "verbatim": results["verbatim"]}
    return found


HEAD = ("model", "task", "asked", "measured by", "without a model", "its base", "tuned")


def rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Those of the table."""
    for model, tasks in found.items():
        for task, one in tasks.items():
            if task == "generate":
                bits = one["bits_per_byte"]
                without = f"5-gram {bits['five_gram']:.3f}, unigram {bits['unigram']:.3f}"
                yield (
                    model,
                    task,
                    "held-out texts",
                    "bits per byte (less is better)",
                    without,
                    f"{bits['total']:.3f}",
                    "-",
                )
                continue
            for part, of in (one, ""), (one.get("unread"), ", unread alone"):
                if part:
                    yield from _rows(model, task + of, part)


def _rows(model: str, task: str, part: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    scores = dict(part["scores"])
    tuned, base = scores.pop("tuned"), scores.pop("its base")
    for metric in tuned:
        without = ", ".join(f"{name} {marks[metric]['value']:.3f}" for name, marks in scores.items())
        mark, before = tuned[metric], base[metric]["value"]
        said = f"{mark['value']:.3f} ({mark['low']:.3f} to {mark['high']:.3f})"
        yield model, task, str(part["asked"]), metric, without, f"{before:.3f}", said


def main() -> None:
    """Run, print and write benchmarks/results/tasks.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="*", help=f"of {', '.join(TASKS)}; all, where none is named")
    parser.add_argument("--model", choices=MODELS, default="llama")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--limit", type=int, default=100, help="of each task the first questions")
    given = parser.parse_args()
    if strange := set(given.task) - set(TASKS):
        parser.error(f"{min(strange)}: one of {', '.join(TASKS)}")
    make(given.runs, given.model, given.task or list(TASKS), given.limit)
    found = earlier_result("tasks").get("found", {})
    for model, tasks in found_in(given.runs).items():
        found[model] = found.get(model, {}) | tasks
    made = table(HEAD, list(rows(found)))
    print(made)
    write_result("tasks", {"found": found})
    write_table("tasks", "fine-tuning", made)
    for model, tasks in found.items():
        for task, one in tasks.items():
            if "read" in one:
                print(f"{model}, {task}: {one['read']} of {one['asked']} answers stand in its base's training text")
        if "generate" in tasks:
            print(f"{model}, generate: {tasks['generate']}")


if __name__ == "__main__":
    main()
