"""`prepare`: a share of the documents at the front door, and a run that puts the shares together."""

from pathlib import Path

import pytest

from tests.conftest import small_run, write_school
from train.__main__ import main
from train.config import compose
from train.parallel import Replicas
from train.recipe.corpus import parts_folder
from train.recipe.run import Run


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("prepared")
    return small_run(write_school(folder / "school"), folder / "runs", f"data.cache={folder / 'cache'}")


def test_a_run_takes_what_was_prepared(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    runs = Path(compose(words).run.folder)
    alone = Run(compose([*words, "run.name=alone"]), runs / "alone", Replicas())
    summary = alone.make_documents()
    for part in ("1", "0"):
        assert main(["prepare", "--part", part, "--of", "2", *words]) == 0
    assert main(["prepare", "--part=0", "--of=2", *words]) == 0
    assert "0-of-2.parquet: done before" in capsys.readouterr().out
    again = Run(compose([*words, "run.name=again"]), runs / "again", Replicas())
    assert again.make_documents() == summary
    assert "judged before, in 2 parts" in capsys.readouterr().out


def test_another_corpus_has_other_parts(words: list[str]) -> None:
    folders = {
        parts_folder(compose([*words, *more]))
        for more in ([], ["data.exclude.authors=[A]"], ["data.rules.min_bytes=1"], ["optim.steps=3"])
    }
    assert len(folders) == 3  # how it is trained changes no document


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (["--part", "1"], "prepare needs --part I --of N, two numbers"),
        (["--part", "x", "--of", "2"], "prepare needs --part I --of N, two numbers"),
        (["--part", "2", "--of", "2"], "part 2 of 2: the parts count from 0 to 1"),
    ],
)
def test_a_mistake_is_a_line(words: list[str], said: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", *said, *words]) == 2
    assert line in capsys.readouterr().err
