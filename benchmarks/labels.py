"""Encoders that learned labels, beside guesses that take no model, from the releases of `tune=tag|classify|extract`.

    python -m benchmarks.labels [RUNS]      (default: runs)

Reads RUNS/bert-tag, RUNS/xlnet-tag, RUNS/bert-classify ... (docs/fine-tuning.md has the commands), and beside each
release what its audit found, RUNS/bert-tag/audit.json, where `python -m train audit RELEASE --base BASE --json FILE`
has written one. Writes benchmarks/results/labels.json, and the table into docs/fine-tuning.md between its two marks.
What has no release in RUNS keeps the figures of the release that was measured last.
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import earlier_result, write_result, write_table
from train.records import read_json
from train.release import read_release
from train.release.markdown import table

PURPOSES, FAMILIES = ("tag", "classify", "extract"), ("bert", "xlnet")


def figures(run: Path) -> dict[str, Any]:
    """What one release says of itself, and which checks its audit failed."""
    record, path = read_release(run / "release"), run / "audit.json"
    audit = read_json(path) if path.is_file() else {}
    failed = {"failed_checks": audit["failed"]} if audit.get("digest") == record["digest"] else {}
    return {
        "release": record["digest"],
        "code": record["ingredients"]["code"],
        "base": record["lineage"][0]["release"],
        "training_tokens": record["cost"]["outcome"]["tokens"],
        **{key: record["results"]["labels"][key] for key in ("asked", "scores", "baselines")},
        **failed,
    }


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """A line for each model, under those of the guesses at the same examples."""
    made = []
    for purpose in PURPOSES:
        of, guessed = {family: found.get(f"{family}-{purpose}") for family in FAMILIES}, []
        for family, one in of.items():
            if one is None:
                continue
            guesses = {} if one["baselines"] in guessed else one["baselines"]
            guessed.append(one["baselines"])
            for name, scores in {**guesses, f"{family}, from {one['base']}": one["scores"]}.items():
                said = ", ".join(f"{metric} {shown(mark)}" for metric, mark in scores.items())
                made.append((purpose, name, said, str(one["asked"])))
    return made


def shown(mark: Any) -> str:
    """A score with where 95 % of the draws lie; of a release of before they were stated the score alone."""
    if not isinstance(mark, dict):
        return f"{mark:.3f}"
    return f"{mark['value']:.3f} ({mark['low']:.3f} to {mark['high']:.3f})"


def main() -> None:
    """Print the table; write it, and the figures."""
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    found = earlier_result("labels").get("releases", {})
    for name in (f"{family}-{purpose}" for purpose in PURPOSES for family in FAMILIES):
        if (runs / name / "release").is_dir():
            found[name] = figures(runs / name)
    made = table(("learned", "who", "scores", "held-out examples"), rows(found))
    print(made)
    write_result("labels", {"releases": found})
    write_table("labels", "fine-tuning", made)
    for name, one in found.items():
        if "failed_checks" in one:
            print(f"{name}: its audit failed {', '.join(one['failed_checks']) or 'nothing'}")


if __name__ == "__main__":
    main()
