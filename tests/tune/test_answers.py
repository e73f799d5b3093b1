"""What a tuned model answers to its task: scored, compared, audited; and what its base had read already."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluate.test_bigbench import with_archive
from tests.tune.lessons import tuning
from train.config import compose
from train.documents import read_documents
from train.evaluate import Text, answer_without_a_model, drawn, read_examples, score
from train.libre import audit, compare, examine
from train.libre.audit.answer import ask
from train.libre.audit.subject import Base, Subject
from train.recipe import run_recipe
from train.records import BadInput, Document, read_json
from train.sample import Sampling, speak
from train.scoring import told_before
from train.tokens import load_tokenizer

WAYS = ["sft", "lora", "dora", "dpo"]


def test_its_answers_are_scored_beside_answers_that_take_no_model(
    base: Path, lessons: dict[str, Path], tmp_path: Path
) -> None:
    words = tuning(base, lessons["sft"], tmp_path, "sft", "evaluate.limit=3")
    assert "task" not in run_recipe(compose(words))["results"]
    run_recipe(compose([*words, "tune.task=questions"]))  # asked for when all was done
    release = tmp_path / "small" / "release"
    found = read_json(release / "evaluation" / "results.json")["task"]
    train, held_out = ([*read_documents(release / "data", split)] for split in ("train", "validation"))
    digests = {hashlib.sha256(document.id.encode()).hexdigest(): document for document in held_out}
    questions, wanted = zip(*read_examples(digests[key] for key in sorted(digests)[:3]), strict=True)
    greedy = Sampling(temperature=0.0, max_tokens=found["longest_answer"])
    said = {who: [speak(model, question, greedy) for question in questions] for who, model in (("tuned", release),)}
    said |= answer_without_a_model("questions", [*read_examples(train)], questions)
    assert (found["name"], found["asked"], set(found["scores"])) == (
        "questions",
        3,
        {"tuned", "its base", "nearest question"},
    )
    for who, answers in said.items():
        for name, mark in score("questions", answers, wanted).items():
            assert found["scores"][who][name] == pytest.approx(mark._asdict(), abs=1e-4)
    assert found["read"] == 0
    compare_answers(release, tmp_path / "other")
    short = sum(len(tokens) < 13 for tokens in answer_tokens(release, drawn(held_out, 3)))
    assert found["short"] == short > 0
    assert f"{short} of the answers have fewer tokens than that" in (release / "README.md").read_text("utf-8")
    assert "### The task: questions" in (release / "README.md").read_text("utf-8")
    checks = {finding.id: finding for finding in audit(release, bases=[base]).findings}
    assert "questions: the answers are its own, and marked as stated" in checks["EVAL-01"].found
    assert "declared" not in checks["EVAL-01"].found
    lost = f"training text, {short} are too short to be found"
    assert f"0 of 3 answers asked for stand in its base's {lost}" in checks["DATA-11"].found
    record = read_json(release / "release.json")
    subject = Subject(release, tmp_path / "again", [Base(base, "small", "", (), frozenset())])
    stated = subject.record["results"]["task"] = dict(record["results"]["task"])
    for hidden in (0, None, [short], {"a": 1}, "x" * 1000):
        stated["short"] = hidden
        assert f"{short} of the answers asked for are too short to be found, stated is" in ask("DATA-11", subject).found
    del stated["short"]  # as before it was stated
    assert lost in ask("DATA-11", subject).found
    record["results"]["task"]["read"] = 2
    (release / "release.json").write_text(json.dumps(record))
    forged = {finding.id: finding.found for finding in audit(release, bases=[base]).findings}
    assert "0 of the answers asked for were read by its base, stated is 2" in forged["DATA-11"]
    forge_answers(release, tmp_path / "work")
    with pytest.raises(BadInput, match=r"tune.task=question: one of questions"):
        run_recipe(compose(tuning(base, lessons["sft"], tmp_path / "no", "sft", "tune.task=question")))


def compare_answers(release: Path, other: Path) -> None:
    """The same questions are compared, with what chance may do; others are not."""
    shutil.copytree(release, other)
    assert not compare(release, other)["tasks"]["questions"]["scores"]["word_f1"]["larger_than_chance"]
    record = read_json(other / "release.json")
    record["results"]["task"]["scores"]["tuned"]["word_f1"] = {"value": 1.0, "low": 0.99, "high": 1.0}
    (other / "release.json").write_text(json.dumps(record))
    found = compare(release, other)["tasks"]["questions"]
    assert (found["questions"], found["scores"]["word_f1"]["larger_than_chance"]) == (3, True)
    (other / "evaluation" / "answers.jsonl").unlink()
    assert "other questions" in compare(release, other)["tasks"]["questions"]["why"]


def answer_tokens(release: Path, documents: list[Document]) -> list[list[int]]:
    """Of the answers that are wanted, the end of each counted."""
    tokenizer = load_tokenizer(release)
    return [[*tokenizer.encode(answer).ids, 0] for _, answer in read_examples(documents)]


def forge_answers(release: Path, work: Path) -> None:
    """Better answers than the model's, with or without their tokens and scores, and answers to other questions."""
    path, record = release / "evaluation" / "answers.jsonl", release / "release.json"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    wanted = [answer for _, answer in read_examples(drawn(read_documents(release / "data", "validation"), 3))]
    results, tokenizer = read_json(record), load_tokenizer(release)

    def found(*rows: dict[str, Any]) -> str:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return ask("EVAL-01", Subject(release, work)).found

    assert "to other questions than those held out" in found(*rows[:-1])
    assert "to other questions than those held out" in found(*reversed(rows))
    for no_answer in ({"id": "x"}, rows[0] | {"tokens": "12"}, rows[0] | {"tokens": [1.5]}, rows[0] | {"tuned": None}):
        assert "a line that is no answer" in found(no_answer, *rows[1:])
    better, end = rows[0] | {"tuned": wanted[0]}, tokenizer.token_to_id("<|endoftext|>")
    spelled = tokenizer.encode(wanted[0], add_special_tokens=False).ids[: results["results"]["task"]["longest_answer"]]
    for tokens in (rows[0]["tokens"], [10**6], [-1], [*spelled, spelled[0]], [*spelled, end]):
        assert "is not what its tokens say" in found(better | {"tokens": tokens}, *rows[1:])
    assert "is not what the model would say" in found(better | {"tokens": spelled}, *rows[1:])
    assert "do not have the scores that are stated" in found(rows[0] | {"its base": wanted[0]}, *rows[1:])
    for key, value, line in (
        ("longest_answer", 0, "may have"),
        ("asked", 2, "to other questions"),
        ("name", "x", "task"),
    ):
        lying = results["results"] | {"task": results["results"]["task"] | {key: value}}
        record.write_text(json.dumps(results | {"results": lying}), "utf-8")
        assert line in found(*rows)


def test_what_a_base_had_read_is_found(base: Path, tmp_path: Path) -> None:
    text = next(read_documents(base / "data", "train")).text
    copied = load_tokenizer(base).encode(text[40:240]).ids
    answers = [Text("", (), 1, np.array([0, *tokens])) for tokens in (copied, copied[::-1], copied[:12])]
    found = told_before(base, answers)
    assert found is not None
    assert found[0] > 0.9  # but for words that were cut
    assert found[1:] == [0.0, 0.0]
    assert told_before(tmp_path, answers) is None


def test_what_a_base_had_read_counts_as_read(
    base: Path, lessons: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = next(read_documents(base / "data", "train")).text
    cache = with_archive(tmp_path, monkeypatch, read=[" ".join(text.split()[20:60])])
    words = tuning(base, lessons["sft"], tmp_path, "sft", f"data.cache={cache}", "evaluate.tasks=[bigbench:read]")
    overlap = run_recipe(compose(words))["results"]["tasks"]["bigbench:read"]["overlap"]
    assert overlap["share"] > 0.8
    assert overlap["of"] == "its own and its base's"
    (alone,) = examine(tmp_path / "small" / "release", ["bigbench:read"], 0, cache).results
    assert alone.overlap is not None
    assert alone.overlap["share"] < overlap["share"]
    assert alone.overlap["of"] == "its own, not its base's"
