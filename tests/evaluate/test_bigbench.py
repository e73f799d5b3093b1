"""BIG-bench's tasks out of an archive of its layout: the prompt as its program makes it, the grade as defined."""

import io
import json
import math
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.conftest import make_text
from train.__main__ import main
from train.evaluate import Reader, bigbench, prepare_tasks, run_tasks
from train.records import BadInput, digest_file, read_json

PLAIN = {
    "name": "plain", "metrics": ["multiple_choice_grade"], "preferred_score": "multiple_choice_grade",
    "task_prefix": "Cor dela.", "append_choices_to_input": False, "contributors": ["A. Nobody"],
}  # fmt: skip
WRITTEN = {"name": "written", "metrics": ["exact_str_match"], "examples": [{"input": "a", "target": "b"}]}


def examples(count: int) -> list[dict[str, Any]]:
    """Questions of two to four choices; of the first two answers are right by half each."""
    rows = []
    for number in range(count):
        words = make_text(200 + number, 30).split()
        choices = words[20 : 22 + number % 3]
        scores = {choice: float(place == number % 2) for place, choice in enumerate(dict.fromkeys(choices))}
        rows.append({"input": " ".join(words[:8]), "target_scores": scores})
    rows[0]["target_scores"] = dict.fromkeys(rows[0]["target_scores"], 0.5)
    return [*rows, rows[1]]  # one of them twice


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return with_archive(tmp_path, monkeypatch)


def not_known(texts: Iterable[str]) -> None:
    """No training text to look into."""


def with_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **asked: list[str]) -> Path:
    """A cache with the archive in it: nothing is fetched. `asked`: the questions of further tasks."""
    files = {
        "plain/task.json": PLAIN | {"examples": examples(9)},
        "shown/task.json": PLAIN | {"name": "shown", "append_choices_to_input": True, "examples": examples(3)},
        "parts/task.json": {"name": "parts", "keywords": []},
        "parts/one/task.json": PLAIN | {"name": "one", "examples": examples(4)},
        "written/task.json": WRITTEN,
        "odd/task.json": PLAIN | {"name": "odd", "examples": [{"target_scores": {"a": 1}}]},
        "setup.py": "raise SystemExit('never run')",
    }
    for name, questions in asked.items():
        rows = [{"input": question, "target_scores": {"no": 0, "yes": 1}} for question in questions]
        files[f"{name}/task.json"] = PLAIN | {"name": name, "examples": rows}
    archive = tmp_path / "bigbench.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(f"bigbench-1.0.0/bigbench/benchmark_tasks/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("bigbench-1.0.0/bigbench/benchmark_tasks/link/task.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    digest = digest_file(archive)
    monkeypatch.setattr(bigbench, "SHA256", digest)
    kept = tmp_path / "cache" / "archives" / f"bigbench-1.0.0-{digest[:16]}"
    kept.parent.mkdir(parents=True)
    archive.rename(kept)
    return tmp_path / "cache"


def test_the_grade_is_that_of_the_likeliest_answer(release: Path, cache: Path) -> None:
    (found,) = run_tasks(Reader.open(release), ["bigbench:plain"], 0, cache, not_known)
    grades, chances = [], []
    model, tokenizer = AutoModelForCausalLM.from_pretrained(release).eval(), AutoTokenizer.from_pretrained(release)
    for row in examples(9)[:-1]:
        asked = f"Cor dela.\nQ: {row['input']}\nA:"
        likely = {choice: log_p(model, tokenizer, asked, f" {choice}") for choice in row["target_scores"]}
        grades.append(row["target_scores"][max(likely, key=lambda choice: likely[choice])])
        chances.append(np.mean(list(row["target_scores"].values())))
    score = found.scores["multiple_choice_grade"]
    assert score.value == pytest.approx(np.mean(grades))
    assert score.chance == pytest.approx(np.mean(chances))
    assert score.stderr == pytest.approx(np.std(grades, ddof=1) / math.sqrt(9))
    assert (found.questions, found.of, found.authors) == (9, 9, ("A. Nobody",))


def log_p(model: Any, tokenizer: Any, context: str, continuation: str) -> float:
    """By transformers."""
    ids = tokenizer(context + continuation, return_tensors="pt").input_ids
    after = ids.shape[1] - len(tokenizer(context).input_ids)
    ids = ids[:, -33:]
    with torch.no_grad():
        logs = model(ids[:, :-1]).logits[0].log_softmax(-1)
    return float(logs[torch.arange(len(logs)), ids[0, 1:]][-after:].sum())


def test_choices_are_shown_in_its_own_order(cache: Path) -> None:
    """`RandomState(42).permutation` of three sorted choices is 0, 1, 2; of two, 1, 0."""
    content = read_json(bigbench.fetch_tasks(["bigbench:shown"], cache)["bigbench:shown"])
    question = {"input": "Which?", "target_scores": {"c": 0, "a": 1, "b": 0}}
    assert bigbench._prompt(content, question) == "Cor dela.\nQ: Which?\n  choice: a\n  choice: b\n  choice: c\nA: "
    assert "choice: b\n  choice: a\n" in bigbench._prompt(content, {"input": "", "target_scores": {"a": 1, "b": 0}})


def test_only_the_task_files_are_kept_and_the_archive_is_not_needed_again(cache: Path) -> None:
    files = prepare_tasks(["bigbench:plain", "bigbench:parts/one"], cache)
    assert sorted(path for path in (cache / "members").rglob("*") if path.is_file()) == sorted(files)
    next((cache / "archives").iterdir()).unlink()
    assert prepare_tasks(["bigbench:plain"], cache) == files[:1]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("bigbench:plian", "plain"),
        ("bigbench:link", "holds no"),
        ("bigbench:../../etc", "NAME/PART"),
        ("bigbench:parts", "made of parts"),
        ("bigbench:written", "multiple choice"),
        ("bigbench:odd", "cannot be read|can be read"),
    ],
)
def test_what_cannot_be_asked(release: Path, cache: Path, task: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_tasks(Reader.open(release), [task], 0, cache, not_known)


def test_independent_of_the_batch_size(release: Path, cache: Path) -> None:
    reader = Reader.open(release)
    texts = [(f"Cor {make_text(n, 3 + n)}", " " + make_text(n + 1, 1 + n % 3).strip()) for n in range(12)]
    one = Reader(reader.model, reader.tokenizer, reader.vocabulary, 1).judge(texts)
    for size in (5, 64):
        many = Reader(reader.model, reader.tokenizer, reader.vocabulary, size).judge(texts)
        assert [p for p, _ in many] == pytest.approx([p for p, _ in one], rel=1e-5)
        assert [greedy for _, greedy in many] == [greedy for _, greedy in one]


def test_through_the_front_door(release: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    out = tmp_path / "out.json"
    words = ["evaluate", str(copy), "--tasks", "bigbench:plain,bigbench:shown", "--limit", "2", "--cache", str(cache)]
    assert main([*words, "--json", str(out)]) == 0
    assert "2 of 9" in capsys.readouterr().out
    said = read_json(out)
    assert said["tasks"]["bigbench:plain"]["questions"] == 2
    statement = read_json(Path(said["statement"]))
    assert statement["predicate"]["tasks"] == said["tasks"]
    assert statement["subject"][0]["digest"]["sha256"] == read_json(release / "release.json")["digest"]
