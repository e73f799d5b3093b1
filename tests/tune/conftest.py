"""A small decoder to tune and examples to tune it on, made once for a file of tests."""

from pathlib import Path

import pytest

from tests.conftest import small_run, write_school
from tests.tune.lessons import write_lessons
from train.config import compose
from train.recipe import run_recipe


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its release."""
    folder = tmp_path_factory.mktemp("base")
    run_recipe(compose(small_run(write_school(folder / "school"), folder / "runs", "model.seq_len=128")))
    return folder / "runs" / "small" / "release"


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Those of each way."""
    folder = tmp_path_factory.mktemp("lessons")
    answers, compared = write_lessons(folder / "answers"), write_lessons(folder / "compared", preferences=True)
    return {"sft": answers, "lora": answers, "dora": answers, "dpo": compared}
