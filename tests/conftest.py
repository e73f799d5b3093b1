"""What the tests share: a small corpus of our own, and shapes that are enforced."""

import csv
import os
import tempfile
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch comes: tests share the cores

import pytest
from jaxtyping import install_import_hook

from train.numerics import uniform_integers

# Shapes and types of the model's public functions are checked at every call that a test makes.
HOOK = install_import_hook(["train.model", "train.loss", "train.sample"], "beartype.beartype")

os.environ.setdefault("WANDB_MODE", "offline")
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="fusee-state-")  # what tests remake is nobody's
ROOT = Path(__file__).parent.parent

_STEMS = "ar bel cor dan el far gor hal in jor kel lum mar nor ol par quin ros sal tor ul ven wor yel zan".split()  # noqa: SIM905
_ENDS = ["", "a", "e", "en", "i", "is", "o", "or", "um"]


def make_text(number: int, words: int = 400) -> str:
    """Sentences of a small invented language, always the same for a number."""
    draws = uniform_integers(3 * words, 77, number)
    out = []
    for i in range(words):
        a, b, c = (int(x) for x in draws[3 * i : 3 * i + 3])
        word = _STEMS[a % 7 if i % 3 else a % len(_STEMS)] + (_STEMS[b % 5] if c % 3 == 0 else "") + _ENDS[c % 9]
        out.append(word.capitalize() if i % 9 == 0 else word + ("." if i % 9 == 8 else ""))
    return " ".join(out) + ".\n"


def write_school(folder: Path, count: int = 40) -> Path:
    """A folder of texts with metadata.csv beside them, as a school would have it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        name = f"text-{number:02d}.txt"
        (folder / name).write_text(make_text(number), "utf-8")
        author = f"Author {number % 4}"
        rows.append({"file": name, "title": f"Text {number}", "authors": author, "date": f"19{number:02d}-01-01"})
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["file", "title", "authors", "date"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def school(tmp_path: Path) -> Path:
    return write_school(tmp_path / "school")


def small_run(school: Path, runs: Path, *more: str) -> list[str]:
    """The words of a run of a few seconds on the school's texts."""
    return [
        "+experiment=smoke", "data=files", f"data.sources.files.path={school}", "data.sources.files.licence=CC0-1.0",
        "data.sources.files.language=en", f"run.folder={runs}", "run.name=small", "run.threads=1",
        "tokenizer.vocab_size=300", "model.seq_len=32", "model.d_model=32", "model.d_head=16", "model.d_ff=48",
        "optim.steps=24", "optim.sequences_per_step=4", "optim.lr=0.05", "optim.adamw_lr=0.02",
        "optim.warmup_steps=2", "optim.decay_share=1.0", "run.checkpoint_every=5", "run.evaluate_every=12",
        "data.sources.files.rights_reserved='none, made for the tests, 2026-11-23'", *more,
    ]  # fmt: skip


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the small run, made once; its first steps read sequences in halves."""
    from train.config import compose
    from train.recipe import run_recipe

    folder = tmp_path_factory.mktemp("release")
    run_recipe(compose(small_run(write_school(folder / "school"), folder / "runs", "optim.halved_share=0.4")))
    return folder / "runs" / "small" / "release"
