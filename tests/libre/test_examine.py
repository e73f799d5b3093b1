"""Scores on tasks: in the card where the run asked them, in a statement where they came later; compared as they are."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import small_run, write_school
from tests.evaluate.test_bigbench import with_archive
from train.__main__ import main
from train.config import compose
from train.documents import documents_file, read_documents
from train.libre import audit, compare, examine, render_comparison
from train.libre.compare_tasks import compare_tasks
from train.libre.examine import tasks_of
from train.libre.texts import index_of
from train.recipe import run_recipe
from train.records import BadInput, read_json, read_rows, write_json
from train.scoring import TrainingText
from train.tokens import load_tokenizer


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


@pytest.fixture
def planted(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two tasks: one whose questions stand in the training text of `release`, and one of digits."""
    words = [document.text.split() for document in read_documents(release / "data", "train")][:3]
    read = [" ".join(text[100:160]) for text in words]
    return with_archive(tmp_path, monkeypatch, read=read, unread=[f"{n} + 0123456789 # 9876543210?" for n in range(3)])


def test_questions_that_stand_in_the_training_text_are_counted(release: Path, planted: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    made = examine(copy, ["bigbench:read", "bigbench:unread"], 0, planted)
    found = {task: result["overlap"] for task, result in made.record()["tasks"].items()}
    assert found["bigbench:read"]["share"] > 0.8  # but for the prompt around the questions
    assert found["bigbench:unread"] == {"at_least": 13, "share": 0.0, "of": "its own"}
    shown = made.render()
    assert f"{found['bigbench:read']['share']:8.4f}  3 of 3" in shown
    assert "from one training with one seed" in shown
    assert "in passages of 13 tokens or more that stand word for word in the training text: its own." in shown


def test_texts_that_are_looked_up_together_stay_apart(release: Path, tmp_path: Path) -> None:
    """Single words, in the order of a text, are no passage of it; and what is put twice counts once."""
    words = next(read_documents(release / "data", "train")).text.split()[20:160]
    read = TrainingText(load_tokenizer(release), index_of(release, tmp_path)[1])
    assert read.overlap([" ".join(words)])["share"] > 0.9
    assert read.overlap(words)["share"] == read.overlap([])["share"] == 0.0
    once = [" ".join(words), "0123456789 " * 30]
    assert read.overlap([*once, *once[:1] * 200]) == read.overlap(once)
    assert 0.2 < read.overlap(once)["share"] < 0.8


def test_where_no_text_is_whole_nobody_can_say_what_was_read(release: Path, planted: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    row = next(row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "train")
    said = ["--why", "its author objects", "--by", "the author", "--cache", str(planted)]
    assert main(["withdraw", str(copy), "--text", f"id={row['id']}", *said]) == 0
    for leave in (lambda: None, lambda: shutil.rmtree(copy / "data"), (copy / "release.json").unlink):
        leave()  # some withdrawn, none there, no release
        made = examine(copy, ["bigbench:read"], 1, planted)
        assert [result.overlap for result in made.results] == [None]
        assert "is not known: there is none to look into, or not all of it." in made.render()


def test_a_release_whose_text_is_another_is_not_asked(
    release: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    validation = documents_file(release / "data", "validation")
    shutil.copy(validation, documents_file(copy / "data", "train"))
    assert main(["evaluate", str(copy), "--tasks", "bigbench:read", "--cache", str(planted)]) == 2
    assert "something in the folder was changed" in capsys.readouterr().err
    assert not (copy / "attest" / "evaluations").exists()


def test_a_run_that_asks_tasks_says_so_in_its_card(planted: Path, tmp_path: Path) -> None:
    words = small_run(write_school(tmp_path / "school"), tmp_path / "runs", "optim.steps=4", f"data.cache={planted}")
    record = run_recipe(compose([*words, "evaluate.tasks=[bigbench:plain,bigbench:read]", "evaluate.limit=4"]))
    asked = record["results"]["tasks"]
    assert (asked["bigbench:plain"]["questions"], asked["bigbench:read"]["questions"]) == (4, 3)
    release = tmp_path / "runs" / "small" / "release"
    card = (release / "README.md").read_text("utf-8")
    assert "| bigbench:plain | multiple\\_choice\\_grade |" in card
    assert "Made by A. Nobody: bigbench:plain, bigbench:read." in card
    share = asked["bigbench:read"]["overlap"]["share"]
    assert share > 0.8
    assert f" {share:.4f} | 3 of 3 |" in card
    assert "in the training text: its own." in card
    (again,) = examine(release, ["bigbench:read"], 4, planted).results
    assert again.overlap == asked["bigbench:read"]["overlap"]
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
