"""lm-eval asked through our door and through its own `hf` model type, on the same release: the same scores."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from tests.conftest import make_text
from tests.evaluate.test_bigbench import not_known
from train.__main__ import main
from train.evaluate import Reader, run_tasks
from train.evaluate.harness import Asked, _chance
from train.records import BadInput, read_json

CHOICE = """
task: choose
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}} "
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 3.0}}
"""
WRITE = """
task: write
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs: {{until: ["."], max_gen_toks: 12}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
  - {{metric: chrf, aggregation: chrf, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
ROLL = """
task: roll
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list:
  - {{metric: bits_per_byte}}
metadata: {{version: 1.0}}
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A task of each kind in a folder of its own, with data on disk; no network."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = []
    for number in range(12):
        words = make_text(100 + number, 40).split()
        # the last ones are longer than the model's window
        question = " ".join(words[: 3 + (number % 4 == 3) * 25])
        rows.append({"question": question, "choices": words[30:33], "answer": number % 3})
    (folder / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    paths = []
    for name, text in {"choose": CHOICE, "write": WRITE, "roll": ROLL}.items():
        (folder / f"{name}.yaml").write_text(text.format(data=folder / "rows.json"))
        paths.append(str(folder / f"{name}.yaml"))
    before = {key: os.environ.get(key) for key in ("HF_HUB_OFFLINE", "HF_DATASETS_CACHE")}
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    yield paths
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture(scope="module")
def theirs(tasks: list[str], release: Path) -> dict[str, Any]:
    """What lm-eval's own model type finds; one text at a time, as it pads."""
    return lm_eval.simple_evaluate(
        "hf",
        model_args={"pretrained": str(release), "dtype": "float32"},
        tasks=tasks,
        device="cpu",
        batch_size=1,
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )


def test_the_scores_are_those_of_its_own_model_type(tasks: list[str], release: Path, theirs: dict[str, Any]) -> None:
    found = {result.task: result for result in run_tasks(Reader.open(release), tasks, 0, Path("none"), not_known)}
    assert found.keys() == {"choose", "write", "roll"}
    for name, result in found.items():
        assert result.questions == result.of == 12
        for metric, score in result.scores.items():
            assert score.value == pytest.approx(theirs["results"][name][f"{metric},none"], rel=1e-4), (name, metric)
    assert set(found["choose"].scores) == {"acc", "acc_norm"}
    assert (found["choose"].version, found["choose"].scores["acc"].higher_is_better) == ("3.0", True)
    acc = found["choose"].scores["acc"]
    assert acc.stderr == pytest.approx((acc.value * (1 - acc.value) / 11) ** 0.5)
    assert found["roll"].scores["bits_per_byte"].value > 1
    assert {name: score.chance for name, score in found["choose"].scores.items()} == {"acc": 1 / 3, "acc_norm": 1 / 3}
    assert {score.chance for name in ("write", "roll") for score in found[name].scores.values()} == {None}


def test_chance_is_known_where_one_of_the_choices_is_right() -> None:
    def chance(target: Any = 0, metric: str = "acc", **more: Any) -> float | None:
        config = {"output_type": "multiple_choice", "metric_list": [{"metric": "acc"}]} | more
        asked = [{"target": target, "metrics": [metric], "arguments": [("q", "a")] * count} for count in (2, 4)]
        return _chance(config, asked)

    assert chance() == chance("a") == (1 / 2 + 1 / 4) / 2
    assert chance([0, 1]) is chance(metric="acc_mutual_info") is chance(output_type="generate_until") is None
    assert chance(process_results="def f") is chance(metric_list=[{"metric": "acc", "aggregation": "max"}]) is None


def test_no_process_is_forked(tasks: list[str], release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was told to end while it began has waited forever."""
    forked: list[int] = []
    monkeypatch.setattr(os, "fork", lambda: forked.append(1) or 1 / 0)
    run_tasks(Reader.open(release), tasks, 2, Path("none"), not_known)
    assert not forked


def test_what_is_looked_up_is_what_was_put(tasks: list[str], release: Path) -> None:
    seen: list[set[str]] = []

    def look_up(texts: Iterable[str]) -> dict[str, Any]:
        seen.append(set(texts))
        return {"share": 0.5}

    found = run_tasks(Reader.open(release), tasks, 2, Path("none"), look_up)
    assert [result.overlap for result in found] == [{"share": 0.5}] * 3
    rows = [json.loads(line) for line in (Path(tasks[0]).parent / "rows.json").read_text().splitlines()[:2]]
    put = {"choose": {f"{row['question']}  {choice}" for row in rows for choice in row["choices"]}}
    put["write"] = put["roll"] = {row["question"] for row in rows}
    assert seen == [put[result.task] for result in found]


@pytest.mark.parametrize("size", [1, 5])
def test_every_answer_is_theirs_whatever_the_batch(
    tasks: list[str], release: Path, theirs: dict[str, Any], size: int
) -> None:
    model = Asked(replace(Reader.open(release), batch_size=size))
    manager = TaskManager(include_defaults=False)
    found = lm_eval.simple_evaluate(model, tasks=tasks, bootstrap_iters=0, task_manager=manager)
    for name in ("choose", "write"):
        for mine, other in zip(found["samples"][name], theirs["samples"][name], strict=True):
            assert mine["arguments"] == other["arguments"]
            for a, b in zip(mine["resps"], other["resps"], strict=True):
                if name == "write":
                    assert a == b
                else:
                    assert a[0] == pytest.approx(b[0], rel=1e-4)


def test_a_limit(tasks: list[str], release: Path) -> None:
    reader = Reader.open(release)
    (few,) = run_tasks(reader, tasks[:1], 4, Path("none"), not_known)
    (more,) = run_tasks(reader, tasks[:1], 5, Path("none"), not_known)
    assert (few.questions, few.of, few.limit) == (4, 12, 4)
    assert few.set != more.set


@pytest.mark.slow
def test_a_name_that_is_not_known(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(release), "--tasks", "helaswag"]) == 2
    assert "hellaswag" in capsys.readouterr().err


def test_without_the_package(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "train.evaluate.harness", None)
    monkeypatch.delattr("train.evaluate.harness", raising=False)
    with pytest.raises(BadInput, match="pip install"):
        run_tasks(Reader.open(release), ["hellaswag"], 1, Path("none"), not_known)


def test_a_statement_about_the_release(tasks: list[str], release: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(release, tmp_path / "copy")
    words = [
        "evaluate",
        str(copy),
        "--tasks",
        ",".join(tasks[:1]),
        "--limit",
        "3",
        "--json",
        str(tmp_path / "out.json"),
    ]
    assert main(words) == 0
    assert read_json(tmp_path / "out.json")["tasks"]["choose"]["questions"] == 3
