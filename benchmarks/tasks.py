"""What a small model can be taught: five tasks, each beside its base as it was before and answers that take no model.

    python -m benchmarks.tasks [TASK ...] [--base tasks-llama] [--runs runs] [--limit 100] [more words for the runs]

`tasks-llama` and `tasks-t5` read whole sheets: they are trained on English and French first (`tiny` with a window of
2,048 tokens); the release of any other run can be named. It is tuned on each task's examples, and every release is
audited. What is there already is not done again. Writes benchmarks/results/tasks.json, and the table into
docs/fine-tuning.md; what is not in the folder of runs keeps the figures that were measured last.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import earlier_result, write_result, write_table
from train.config import read_config
from train.evaluate import TASKS
from train.records import read_json
from train.release import RECORD, read_release
from train.release.markdown import table

_TRAINED = "tasks-"  # and the family: a base that is trained here
STEPS = 400


def train(*words: str) -> None:
    """A run, and what it says."""
    print("\n$ python -m train", *words, flush=True)
    subprocess.run([sys.executable, "-m", "train", *words], check=True)


def release_of(runs: Path, name: str) -> Path:
    """Where a run's release lies."""
    return runs / name / "release"


def make(runs: Path, name: str, tasks: list[str], words: list[str]) -> None:
    """The base and the tuned models that are not there yet."""
    named, base = [f"run.folder={runs}", "+experiment=tiny", *words], release_of(runs, name)
    if name.startswith(_TRAINED) and not (base / RECORD).is_file():
        family = f"model={name.removeprefix(_TRAINED)}"
        train(*named, "data=bilingual", family, "model.seq_len=2048", f"run.name={name}")
    for task in tasks:
        release = release_of(runs, f"{name}-{task}")
        if not (release / RECORD).is_file():
            asked = [f"optim.steps={STEPS}", f"run.name={name}-{task}"]
            train(*named, "tune=sft", f"tune.from={base}", f"data=task_{task}", *asked)
        if not audit_of(release).is_file():
            train("audit", str(release), "--base", str(base), "--json", str(audit_of(release)))


def audit_of(release: Path) -> Path:
    """Where the answer of its audit lies."""
    return release.parent / "audit.json"


def found_in(runs: Path, name: str) -> dict[str, Any]:
    """What the releases made from a base state, by task."""
    found: dict[str, Any] = {}
    for task in TASKS:
        release = release_of(runs, f"{name}-{task}")
        if not audit_of(release).is_file():
            continue
        record, audit = read_release(release), read_json(audit_of(release))
        results = record["results"]
        found[task] = {
            **results["task"],
            "bits_per_byte": {key: results["bits_per_byte"][key] for key in ("total", "five_gram")},
            "bits_per_byte_of_its_base": results["base"]["total"],
            "examples": record["ingredients"]["documents"]["count"],
            "steps": read_config(release / "recipe" / "config.yaml").optim.steps,
            "tokens": record["cost"]["outcome"]["tokens"],
            "release": record["digest"],
            "failed_checks": audit["failed"],
        }
    if (release_of(runs, name) / RECORD).is_file():
        record = read_release(release_of(runs, name))
        bits = {key: record["results"]["bits_per_byte"][key] for key in ("total", "five_gram", "unigram")}
        tokens = record["cost"]["outcome"]["tokens"]
        found["generate"] = {"bits_per_byte": bits, "verbatim": record["results"]["verbatim"], "tokens": tokens}
    return found


HEAD = ("base", "task", "asked", "measured by", "without a model", "its base", "tuned")


def rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Those of the table."""
    for base, tasks in found.items():
        for task, one in tasks.items():
            if task == "generate":
                yield base, task, "held-out texts", *_generates(one["bits_per_byte"])
                continue
            for part, of in (one, ""), (one.get("unread"), ", unread alone"):
                for cells in _scores(part["scores"]) if part else ():
                    yield base, task + of, str(part["asked"]), *cells


def _generates(bits: dict[str, float]) -> tuple[str, ...]:
    without = f"5-gram {bits['five_gram']:.3f}, unigram {bits['unigram']:.3f}"
    return "bits per byte (less is better)", without, f"{bits['total']:.3f}", "-"


def _scores(scores: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    tuned, base = scores["tuned"], scores["its base"]
    guesses = {who: marks for who, marks in scores.items() if who not in ("tuned", "its base")}
    for metric, mark in tuned.items():
        without = ", ".join(f"{who} {marks[metric]['value']:.3f}" for who, marks in guesses.items())
        said = f"{mark['value']:.3f} ({mark['low']:.3f} to {mark['high']:.3f})"
        yield metric, without, f"{base[metric]['value']:.3f}", said


def main() -> None:
    """Run, print and write benchmarks/results/tasks.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="*", help=f"of {', '.join(TASKS)}; all, where none is named")
    parser.add_argument("--base", default="tasks-llama")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--limit", type=int, default=100, help="questions of each task")
    given = parser.parse_intermixed_args()
    words = [word for word in given.task if "=" in word]
    tasks = [task for task in given.task if "=" not in task]
    if strange := set(tasks) - set(TASKS):
        parser.error(f"{min(strange)}: one of {', '.join(TASKS)}")
    make(given.runs, given.base, tasks or list(TASKS), [*words, f"evaluate.limit={given.limit}"])
    found = earlier_result("tasks").get("found", {})
    found[given.base] = found.get(given.base, {}) | found_in(given.runs, given.base)
    made = table(HEAD, list(rows(found)))
    print(made)
    write_result("tasks", {"found": found})
    write_table("tasks", "fine-tuning", made)
    for base, answered in found.items():
        for task, one in answered.items():
            if "read" in one:
                short = f", {one['short']} are too short to be found" if one.get("short") else ""
                print(
                    f"{base}, {task}: {one['read']} of {one['asked']} answers stand in its base's training text{short}"
                )


if __name__ == "__main__":
    main()
