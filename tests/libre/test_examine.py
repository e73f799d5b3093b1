"""Scores on tasks: in the card where the run asked them, in a statement where they came later; compared as they are."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import small_run, write_school
from tests.evaluate.test_bigbench import with_archive
from train.__main__ import main
from train.config import compose
from train.libre import audit, compare, examine, render_comparison
from train.libre.compare_tasks import compare_tasks
from train.libre.examine import tasks_of
from train.recipe import run_recipe
from train.records import BadInput, read_json, write_json


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return with_archive(tmp_path, monkeypatch)


def test_a_statement_comes_after_the_seal_and_the_audit_names_it(
    release: Path,
    cache: Path,
    tmp_path: Path,
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    made = examine(copy, ["bigbench:plain"], 3, cache, by="Somebody")
    assert Path(made.statement).parent == copy / "attest" / "evaluations"
    found = audit(copy)
    assert found.failed == []
    says = {finding.id: finding.found for finding in found.findings}
    assert "declared, not asked again: bigbench:plain (by Somebody)" in says["EVAL-01"]
    examine(copy, ["bigbench:plain"], 5, cache)
    assert tasks_of(copy)["bigbench:plain"]["questions"] == 5
    statement = read_json(Path(made.statement))
    statement["subject"][0]["digest"]["sha256"] = "0" * 64  # about another release: passed over
    write_json(Path(made.statement), statement)
    assert audit(copy).failed == []
    assert tasks_of(copy)["bigbench:plain"]["questions"] == 5


def test_a_run_that_asks_tasks_says_so_in_its_card(cache: Path, tmp_path: Path) -> None:
    words = small_run(write_school(tmp_path / "school"), tmp_path / "runs", "optim.steps=4", f"data.cache={cache}")
    record = run_recipe(compose([*words, "evaluate.tasks=[bigbench:plain]", "evaluate.limit=4"]))
    assert record["results"]["tasks"]["bigbench:plain"]["questions"] == 4
    release = tmp_path / "runs" / "small" / "release"
    card = (release / "README.md").read_text("utf-8")
    assert "| bigbench:plain | multiple\\_choice\\_grade |" in card
    assert "Made by A. Nobody: bigbench:plain." in card
    found = compare(release, release)
    assert found["tasks"]["bigbench:plain"]["comparable"]
    assert "no larger than chance" in render_comparison(found)


def test_a_task_that_is_not_known_stops_a_run_before_it_trains(
    cache: Path,
    tmp_path: Path,
    school: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = small_run(school, tmp_path, f"data.cache={cache}", "evaluate.tasks=[bigbench:nothing]")
    assert main(words) == 2
    assert "holds no" in capsys.readouterr().err
    assert not (tmp_path / "small" / "checkpoints").exists()


def test_a_model_that_does_not_read_from_left_to_right_is_asked_nothing(school: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="left to right"):
        compose(["+experiment=smoke", "model=bert", "evaluate.tasks=[hellaswag]"])


def result(value: float, stderr: float | None, **more: Any) -> dict[str, Any]:
    score = {"value": value, "stderr": stderr, "chance": None, "higher_is_better": True}
    return {"task": {"set": "a", "shots": 0, "program": "p", "questions": 100, "scores": {"acc": score}} | more}


def test_a_difference_is_told_from_chance() -> None:
    """Two shares of 0.5 and 0.64 on 100 questions each: z = 2.0; 0.5 and 0.6: z = 1.42."""
    at = {p: result(p, (p * (1 - p) / 100) ** 0.5) for p in (0.5, 0.6, 0.64)}
    near = compare_tasks(at[0.5], at[0.6])["task"]["scores"]["acc"]
    far = compare_tasks(at[0.5], at[0.64])["task"]["scores"]["acc"]
    assert (near["larger_than_chance"], far["larger_than_chance"]) == (False, True)
    assert far["interval"] == pytest.approx([0.14 - 1.96 * 0.0693, 0.14 + 1.96 * 0.0693], abs=1e-4)
    assert compare_tasks(at[0.5], {"other": {}}) == {}
    assert not compare_tasks(at[0.5], result(0.9, 0.01, set="b"))["task"]["comparable"]
    assert compare_tasks(at[0.5], result(0.9, None))["task"]["scores"] == {}
