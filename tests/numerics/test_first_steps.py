"""`+experiment=exact` begins as its published chain says, here and on a processor that this is not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from train.config import compose
from train.parallel import Replicas
from train.recipe import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with its documents and tokens: the real corpus."""
    runs = tmp_path_factory.mktemp("exact")
    config = compose(["+experiment=exact", f"run.folder={runs}", f"data.cache={ROOT / 'cache'}"])
    run = Run(config, runs / "exact", Replicas())
    run.make_tokens(run.make_documents())
    return runs / "exact"


def published(steps: int) -> list[dict[str, object]]:
    lines = (ROOT / "model_cards" / "exact-chain.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines][: steps + 1]


def first_steps(folder: Path, steps: int, *before: str) -> list[dict[str, object]]:
    command = [*before, sys.executable, "-m", "tests.numerics.first_steps", str(folder), str(steps)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_the_first_steps_here(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "exact"))
    assert first_steps(folder, 5) == published(5)


def test_the_first_steps_on_another_processor(prepared: Path, tmp_path: Path) -> None:
    emulator = shutil.which("qemu-x86_64")
    if emulator is None or os.uname().machine != "x86_64":
        pytest.skip("needs Debian's qemu-user, on x86")
    folder = Path(shutil.copytree(prepared, tmp_path / "exact"))
    assert first_steps(folder, 2, emulator, "-cpu", "Haswell") == published(2)
