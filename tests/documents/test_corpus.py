"""From sources to a corpus: nothing is lost in silence, and the split is the contract's."""

import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import make_text, write_school
from train.documents import (
    DataConfig,
    ExcludeConfig,
    Kind,
    RulesConfig,
    SourceConfig,
    build_corpus,
    find_document,
    read_documents,
    write_documents,
)
from train.recipe.corpus import files_of
from train.recipe.run import Run
from train.recipe.tuned import TunedRun
from train.records import BadInput


def config_for(folder: Path, **more: object) -> DataConfig:
    source = SourceConfig(kind=Kind.files, path=str(folder), licence="CC0-1.0", language="en", **more)
    return DataConfig(name="school", sources={"files": source}, rules=RulesConfig(licences=["CC0-1.0"]))


def build(config: DataConfig, out: Path) -> dict:
    return build_corpus(config, out, lambda _: None)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_school_folder(school: Path, tmp_path: Path) -> None:
    summary = build(config_for(school), tmp_path / "out")
    assert summary["seen"] == summary["kept"] == 40
    assert set(summary["by"]["author"]) == {f"Author {n}" for n in range(4)}
    manifest = lines(tmp_path / "out" / "manifest.jsonl")
    assert len(manifest) == 40
    assert all(row["authors"] and row["licence"] and row["date"] for row in manifest)
    kept = [d for split in ("train", "validation") for d in read_documents(tmp_path / "out", split)]
    assert {d.text for d in kept} == {make_text(n) for n in range(40)}
    assert all((int(d.sha256[:8], 16) % 14 == 0) == (d.split == "validation") for d in kept)


def test_adding_a_document_moves_no_other(school: Path, tmp_path: Path) -> None:
    build(config_for(school), tmp_path / "a")
    (school / "zz-more.txt").write_text(make_text(99), "utf-8")
    build(config_for(school), tmp_path / "b")
    split_a, split_b = ({row["id"]: row["split"] for row in lines(tmp_path / x / "manifest.jsonl")} for x in ("a", "b"))
    assert len(split_b) == len(split_a) + 1
    assert all(split_b[name] == split for name, split in split_a.items())


def test_the_digest_is_of_the_content(school: Path, tmp_path: Path) -> None:
    first = build(config_for(school), tmp_path / "a")["documents_digest"]
    assert build(config_for(school), tmp_path / "b")["documents_digest"] == first
    (school / "text-00.txt").write_text(make_text(1000), "utf-8")
    assert build(config_for(school), tmp_path / "c")["documents_digest"] != first


def test_whom_one_leaves_out_is_listed(school: Path, tmp_path: Path) -> None:
    config = config_for(school)
    config.exclude = ExcludeConfig(authors=["Author 2"])
    summary = build(config, tmp_path / "out")
    excluded = lines(tmp_path / "out" / "excluded.jsonl")
    assert summary["excluded"] == {"exclude": 10}
    assert summary["seen"] == summary["kept"] + 10
    assert all(row["authors"] == ["Author 2"] and row["rule"] == "exclude" and row["reason"] for row in excluded)


def test_a_misspelt_author_is_not_passed_over(school: Path, tmp_path: Path) -> None:
    config = config_for(school)
    config.exclude = ExcludeConfig(authors=["Autor 2"])
    with pytest.raises(BadInput, match="did you mean Author 2"):
        build(config, tmp_path / "out")


def test_strange_files_are_listed_not_fatal(school: Path, tmp_path: Path) -> None:
    (school / "empty.txt").write_bytes(b"")
    (school / "latin.txt").write_bytes("déjà vu, encore et toujours".encode("latin-1") * 20)
    (school / "escape.txt").write_text(make_text(50) + "\x1b[31mred", "utf-8")
    (school / "long.txt").write_text("x" * 50_000_000, "utf-8")
    (school / "picture.jpg").write_bytes(b"\xff\xd8")
    (school / "LOUD.TXT").write_text(make_text(70), "utf-8")
    summary = build(config_for(school), tmp_path / "out")
    rules = {row["id"].removeprefix("files/"): row["rule"] for row in lines(tmp_path / "out" / "excluded.jsonl")}
    assert rules == {
        "empty.txt": "length", "latin.txt": "encoding", "escape.txt": "control_characters", "long.txt": "length",
        "picture.jpg": "format",
    }  # fmt: skip
    assert summary["kept"] == 41


def test_rows_of_metadata_that_no_file_bears(school: Path, tmp_path: Path) -> None:
    (school / "text-00.txt").rename(school / "text-zero.txt")
    with pytest.raises(BadInput, match=r"text-00\.txt"):
        build(config_for(school), tmp_path / "out")


def test_tables_are_streamed(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "tables"
    folder.mkdir()
    rows = [{"text": make_text(n), "authors": ["Ann", "Bo"], "title": f"T{n}", "licence": "CC0-1.0"} for n in range(40)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:20]), "utf-8")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[20:]), folder / "b.parquet")
    summary = build(config_for(folder), tmp_path / "out")
    assert summary["kept"] == 40
    assert set(summary["by"]["author"]) == {"Ann", "Bo"}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_days_in_a_table_stay_days(tmp_path: Path, kind: str) -> None:
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "tables"
    folder.mkdir()
    days = [f"{year}-03-04" for year in range(1850, 1900)]
    rows = [{"text": make_text(number), "date": day} for number, day in enumerate(days)]
    if kind == "jsonl":
        (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        midnights = [{**row, "date": datetime.fromisoformat(row["date"])} for row in rows]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(midnights), folder / "a.parquet")
    build(config_for(folder, latest=days[39]), tmp_path / "out")
    assert [row["date"] for row in lines(tmp_path / "out" / "manifest.jsonl")] == days[:40]
    assert [row["value"] for row in lines(tmp_path / "out" / "excluded.jsonl")] == days[40:]


def test_rows_of_json_differ_in_what_they_hold(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = [{"text": make_text(number), "url": f"u{number}"} for number in range(40)]
    rows[3] |= {"title": 7, "url": None}
    rows[30] |= {"title": "late", "seen": [[1], "two"]}
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    build(config_for(folder), tmp_path / "out")
    found = lines(tmp_path / "out" / "manifest.jsonl")
    assert [found[number]["title"] for number in (0, 3, 30)] == ["", "7", "late"]
    assert [found[number]["url"] for number in (0, 3)] == ["u0", ""]


@pytest.mark.parametrize(
    ("content", "says"),
    [("null\n", "line 1: not an object"), ("{}\n[1]", "line 2: not an object"), ('{"text": "a"', "line 1"),
     ("[" * 100_000, "line 1")],
)  # fmt: skip
def test_what_is_no_table_of_json_is_one_line(tmp_path: Path, content: str, says: str) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "a.jsonl").write_text(content, "utf-8")
    with pytest.raises(BadInput, match=says):
        build(config_for(folder), tmp_path / "out")


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "texts" / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text(make_text(1))
    with pytest.raises(BadInput, match="must be plain UTF-8"):
        build(config_for(tmp_path / "texts"), tmp_path / "out")
    assert files_of(config_for(tmp_path / "texts")) == {"files": {}}


@pytest.mark.parametrize("stages", [Run, TunedRun])
def test_rules_of_an_old_release_cannot_drive_the_terminal(
    tmp_path: Path, stages: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"kept": 1, "seen": 2, "excluded": {"\x1b]0;owned\x07": 1}}
    module = stages.__module__
    monkeypatch.setattr(f"{module}.build_corpus", lambda *_, **__: found)
    monkeypatch.setattr("train.recipe.run.prepared_parts", lambda _: None)
    asked = SimpleNamespace(config=SimpleNamespace(data=None), folder=tmp_path, rules=lambda: ())
    assert stages.make_documents(asked) == found
    said = capsys.readouterr()
    assert "left out: �]0;owned� 1" in said.out + said.err
    assert "\x1b" not in said.out + said.err


def test_a_dataset_in_the_hubs_format(tmp_path: Path) -> None:
    folder = tmp_path / "dataset" / "data"
    folder.mkdir(parents=True)
    rows = [{"body": make_text(n), "by": f"Author {n % 3}"} for n in range(40)]
    (folder / "train-00000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    source = SourceConfig(
        kind=Kind.huggingface, path=str(folder.parent), revision="main", licence="CC0-1.0", language="en",
        fields={"text": "body", "authors": "by"},
    )  # fmt: skip
    config = DataConfig(name="hub", sources={"hub": source}, rules=RulesConfig(licences=["CC0-1.0"]))
    summary = build(config, tmp_path / "out")
    assert summary["kept"] == 40
    assert len(summary["by"]["author"]) == 3


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_corpus_says_so(tmp_path: Path, count: int) -> None:
    folder = write_school(tmp_path / "school", count)
    with pytest.raises(BadInput, match="at least one of each"):
        build(config_for(folder), tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def test_no_such_folder_and_bad_metadata(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        build(config_for(tmp_path / "nowhere"), tmp_path / "out")
    folder = write_school(tmp_path / "school", 2)
    (folder / "metadata.csv").write_text("name,title\na,b\n")
    with pytest.raises(BadInput, match="column `file`"):
        build(config_for(folder), tmp_path / "out")


def test_a_wrong_digest_in_the_metadata_stops(tmp_path: Path) -> None:
    folder = write_school(tmp_path / "school", 3)
    (folder / "metadata.csv").write_text("file,sum\ntext-00.txt," + "0" * 64 + "\n")
    with pytest.raises(BadInput, match="its metadata says"):
        build(config_for(folder, fields={"sha256": "sum"}), tmp_path / "out")


def test_a_document_is_found_in_whichever_group_it_lies(school: Path, tmp_path: Path) -> None:
    build(config_for(school), tmp_path)
    one = replace(next(read_documents(tmp_path, "train")), text="word " * 4000)
    with write_documents(tmp_path, "train") as writer:
        for number in range(150):  # three groups: of 64 documents, or of 2^20 characters if those are more
            writer.write(replace(one, id=f"text-{number}"))
    for number in (0, 63, 64, 149):
        assert find_document(tmp_path, "train", f"text-{number}") == replace(one, id=f"text-{number}")
    assert find_document(tmp_path, "train", "text-150") is None
    with pytest.raises(BadInput, match="not a table of documents"):
        find_document(tmp_path / "nowhere", "train", "text-1")
