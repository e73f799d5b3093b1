"""The cluster, started once for all tests of this folder, and a project to submit jobs from."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, small_run
from tests.slurm.cluster import Cluster, why_not


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes that take jobs; the tests that need them are skipped where there can be none."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="fusee-slurm-"))
    folder.chmod(0o755)  # munged runs as another user
    try:
        with Cluster(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone of the project as a user has it; its runs/ is its own."""
    folder = tmp_path / "project"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("train", "configs", "slurm", "constraints.txt", "pyproject.toml", "LICENSE"):
        (folder / name).symlink_to(ROOT / name)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return folder


def exact_run(school: Path, *more: str) -> list[str]:
    """A run in exact arithmetic, whose weights any number of processes make, in the folder that it is started in."""
    return small_run(school, Path("runs"), "numerics=exact", "run.log_every=1", "run.checkpoint_every=1000", *more)
