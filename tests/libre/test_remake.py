"""A release remade without an author and with another size: audited, rebuilt, its lineage told; a mistake is a line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.libre.test_audit import reseal
from train.__main__ import main
from train.documents import SPLITS, read_documents, write_documents
from train.libre import audit, rebuild, remake
from train.records import read_json


@pytest.fixture(scope="module")
def remade(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("remade") / "without"
    words = ["remake", str(release), "--without", "author=Author 1", "--out", str(out), "--why", "she asked us to"]
    assert main([*words, "model.n_layers=1", "model.d_ff=32"]) == 0
    return out / "release"


def test_the_author_is_gone_and_everything_else_is_there(release: Path, remade: Path) -> None:
    before = {d.sha256: d for split in ("train", "validation") for d in read_documents(release / "data", split)}
    after = {d.sha256: d for split in ("train", "validation") for d in read_documents(remade / "data", split)}
    gone = {digest for digest, document in before.items() if document.authors == ("Author 1",)}
    assert gone
    assert set(after) == set(before) - gone
    assert all(after[digest] == before[digest] for digest in after)
    excluded = (remade / "data" / "excluded.jsonl").read_text().splitlines()
    assert len(excluded) == len(gone)
    assert all('"exclude"' in line for line in excluded)


def test_the_lineage_is_told_audited_and_rebuilt(release: Path, remade: Path) -> None:
    record = read_json(remade / "release.json")
    assert record["lineage"] == [
        {
            "release": "small",
            "digest": read_json(release / "release.json")["digest"],
            "changes": "without author=Author 1; model.n_layers=1; model.d_ff=32",
            "why": "she asked us to",
        }
    ]
    assert "she asked us to" in (remade / "README.md").read_text("utf-8")
    assert rebuild(remade, "R3", note=lambda _: None).identical
    found = audit(remade)
    assert found.failed == []
    assert found.verdicts()["libre in practice"] == "yes"
    assert "without author=Author 1" in next(f.found for f in found.findings if f.id == "DEP-01")


def test_the_rest_of_the_recipe_stays(release: Path, tmp_path: Path) -> None:
    config = remake(release, tmp_path / "out", [], ["optim.steps=5"], "")
    assert config.optim.steps == 5
    assert config.model.d_model == 32
    assert config.run.seed == 0


@pytest.mark.parametrize("own", [[], ["evaluate.tasks=[bigbench:mine]"]])
def test_the_tasks_of_a_stranger_are_not_asked(
    release: Path, tmp_path: Path, own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    path = copy / "recipe" / "config.yaml"
    text = path.read_text("utf-8")
    assert "tasks: []" in text
    path.write_text(text.replace("tasks: []", 'tasks: [theirs.yaml, "bigbench:\\e[2J"]'), "utf-8")
    reseal(copy)
    config = remake(copy, tmp_path / "out", [], ["optim.steps=5", *own], "")
    assert config.evaluate.tasks == (["bigbench:mine"] if own else [])
    said = capsys.readouterr().out
    assert ("theirs.yaml" in said) is not bool(own)
    assert "\x1b" not in said


@pytest.mark.parametrize("left_out", [{"id": "nameless"}, {"id": "a/b", "n_bytes": "1"}, {"id": 3}])
def test_what_was_left_out_is_looked_at(release: Path, tmp_path: Path, left_out: dict[str, object], capsys) -> None:
    row = {"sha256": "0" * 64, "url": "", "authors": [], "stage": "rules", "rule": "x", "rule_version": 1, "value": ""}
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    (copy / "data" / "excluded.jsonl").write_text(json.dumps(row | {"reason": "", "n_bytes": 1} | left_out) + "\n")
    reseal(copy)
    assert main(["remake", str(copy), "--out", str(tmp_path / "out"), "--without", "author=Author 1"]) == 2
    assert "SOURCE/NAME" in (said := capsys.readouterr().err) or "of another type" in said


def test_a_document_without_its_source_is_one_line(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    for split in SPLITS:
        documents = list(read_documents(copy / "data", split))
        with write_documents(copy / "data", split) as writer:
            for document in documents:
                writer.write(replace(document, id=document.id.replace("/", "-")))
    manifest = copy / "data" / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    manifest.write_text("".join(json.dumps(row | {"id": row["id"].replace("/", "-")}) + "\n" for row in rows), "utf-8")
    reseal(copy)
    assert main(["remake", str(copy), "--out", str(tmp_path / "out"), "--without", "author=Author 1"]) == 2
    assert "which is SOURCE/NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing would change"),
        (["--without", "Author 1"], "say author=NAME"),
        (["--without", "author=Author 9"], "did you mean"),
        (["model.n_layer=3"], "n_layers"),
        (["model=gpt2"], "choices are made"),
        (["model.n_layers=many"], "model.n_layers"),
    ],
)
def test_a_mistake_is_one_line(
    release: Path, tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remake", str(release), "--out", str(tmp_path / "out"), *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in said
    assert not (tmp_path / "out" / "release").exists()


def test_a_release_that_was_changed_is_not_remade(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    manifest = copy / "data" / "manifest.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace("Author 2", "Somebody"), "utf-8")
    assert main(["remake", str(copy), "--out", str(tmp_path / "out"), "--without", "author=Author 1"]) == 2
    assert "not as it was sealed: data/manifest.jsonl was changed" in capsys.readouterr().err


def test_a_release_is_not_remade_over_itself(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "run" / "release"))
    before = (copy / "release.json").read_bytes()
    for out in (copy, copy / "deeper", tmp_path / "run"):
        assert main(["remake", str(copy), "--out", str(out), "optim.steps=3"]) == 2
        assert "written over" in capsys.readouterr().err
    words = ["+experiment=smoke", f"run.folder={tmp_path / 'run'}", "run.name=release", "data.cache=/nowhere"]
    assert main(words) == 2
    assert "holds a model, not a run" in capsys.readouterr().err
    assert (copy / "release.json").read_bytes() == before
    assert "model_type" in read_json(copy / "config.json")
