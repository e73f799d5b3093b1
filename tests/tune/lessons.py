"""Examples of our own: questions about the invented words, with answers that a small model can learn."""

import json
from pathlib import Path

from tests.conftest import make_text

SAID = {"licence": "CC0-1.0", "language": "en", "date": "1999-01-01"}


def write_lessons(folder: Path, count: int = 60, *, preferences: bool = False) -> Path:
    """A folder with lessons.jsonl: each row asks for the word after one, or compares two answers to that."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        words = make_text(100 + number, 12).split()
        asked = [{"role": "user", "content": f"What comes after {words[3]} {words[4]}?"}]
        answer, worse = f"{words[5]} {words[6]}.", f"{words[0]}?"
        if preferences:
            row = {"prompt": asked, "chosen": answer, "rejected": worse}
        else:
            row = {"messages": [*asked, {"role": "assistant", "content": answer}]}
        about = {"id": f"lesson-{number:02d}", "title": f"Lesson {number}", "authors": [f"Author {number % 3}"]}
        rows.append({**row, **about, **SAID})
    (folder / "lessons.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


WORDS = {"dora": ("tune=lora", "tune.dora=true")}


def tuning(base: Path, lessons: Path, runs: Path, way: str, *more: str) -> list[str]:
    """The words of a tuning of a few seconds."""
    return [
        "+experiment=smoke", *WORDS.get(way, (f"tune={way}",)), f"tune.from={base}",
        "data=files", f"data.sources.files.path={lessons}",
        f"run.folder={runs}", "run.name=small", "run.threads=1", "optim.steps=12", "optim.sequences_per_step=4",
        "optim.adamw_lr=0.005", "optim.warmup_steps=2", "run.checkpoint_every=3", "run.evaluate_every=6",
        "data.rules.near_duplicate_similarity=1.0", "data.sources.files.generator='a program of the tests'",
        "data.sources.files.rights_reserved='none, made for the tests, 2026-11-24'", *more,
    ]  # fmt: skip
