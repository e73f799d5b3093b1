"""Encoders that learned labels, beside guesses that take no model, from the releases of `tune=tag|classify|extract`.

    python -m benchmarks.labels [RUNS]      (default: runs)

Reads RUNS/bert-tag, RUNS/xlnet-tag, RUNS/bert-classify ... (docs/fine-tuning.md has the commands). Writes
benchmarks/results/labels.json, and the table into docs/fine-tuning.md between its two marks. What has no release in
RUNS keeps the figures of the release that was measured last.
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import earlier_result, write_result, write_table
from train.release import read_release
from train.release.markdown import table

PURPOSES, FAMILIES = ("tag", "classify", "extract"), ("bert", "xlnet")


def figures(record: Any) -> dict[str, Any]:
    """What one release says of itself."""
    return {
        "release": record["digest"],
        "code": record["ingredients"]["code"],
        "base": record["lineage"][0]["release"],
        "training_tokens": record["cost"]["outcome"]["tokens"],
        **{key: record["results"]["labels"][key] for key in ("asked", "scores", "baselines")},
    }


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """A line for each metric and each guess or model that has it."""
    made = []
    for purpose in PURPOSES:
        of = {family: found[f"{family}-{purpose}"] for family in FAMILIES if f"{family}-{purpose}" in found}
        for family, one in of.items():
            first = family == next(iter(of))
            named = {**(one["baselines"] if first else {}), f"{family}, from {one['base']}": one["scores"]}
            for name, scores in named.items():
                said = ", ".join(f"{metric} {value:.3f}" for metric, value in scores.items())
                made.append((purpose, name, said, str(one["asked"])))
    return made


def main() -> None:
    """Print the table; write it, and the figures."""
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    found = earlier_result("labels").get("releases", {})
    for name in (f"{family}-{purpose}" for purpose in PURPOSES for family in FAMILIES):
        if (runs / name / "release").is_dir():
            found[name] = figures(read_release(runs / name / "release"))
    made = table(("learned", "who", "scores", "held-out examples"), rows(found))
    print(made)
    write_result("labels", {"releases": found})
    write_table("labels", "fine-tuning", made)


if __name__ == "__main__":
    main()
