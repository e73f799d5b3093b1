"""A corpus that many have judged is the one that a single process makes; parts that are not whole are not taken."""

import json
from pathlib import Path

import pytest

from tests.conftest import make_text
from train.documents import (
    DataConfig,
    ExcludeConfig,
    Kind,
    RulesConfig,
    Share,
    SourceConfig,
    build_corpus,
    prepare_part,
)
from train.records import BadInput

FILES = ("documents-train.parquet", "documents-validation.parquet", "manifest.jsonl", "excluded.jsonl", "summary.json")


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    """400 documents of two sources: copies and near copies, far from each other; rules that take some out."""
    for source, begin in (("one", 0), ("two", 150)):
        (tmp_path / source).mkdir()
        rows = [
            {
                "text": make_text(number % 170) + f" {number % 3}" * (number % 2),
                "title": f"t{number}",
                "authors": "A. B.",
            }
            for number in range(begin, begin + 200)
        ]
        rows[7]["text"] += " bob@example.org"
        rows[9]["text"] = "short"
        (tmp_path / source / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "two" / "strange.pdf").write_bytes(b"%PDF")
    sources = {
        name: SourceConfig(kind=Kind.files, path=str(tmp_path / name), licence="CC0-1.0", language=language)
        for name, language in (("one", "en"), ("two", ""))
    }
    return DataConfig(
        name="test", sources=sources, rules=RulesConfig(licences=["CC0-1.0"], min_bytes=20),
        exclude=ExcludeConfig(titles=["t160"]), cache=str(tmp_path / "cache"),
    )  # fmt: skip


def prepare(config: DataConfig, folder: Path, shares: int) -> Path:
    for part in reversed(range(shares)):
        prepare_part(config, Share(part, shares), folder, lambda _: None)
    return folder


@pytest.mark.parametrize("shares", [1, 2, 3, 9])
def test_any_number_of_shares_makes_the_same_files(config: DataConfig, tmp_path: Path, shares: int) -> None:
    summary = build_corpus(config, tmp_path / "alone", lambda _: None)
    assert set(summary["excluded"]) == {
        "exclude", "length", "format", "personal_data", "duplicate", "near_duplicate",
    }  # fmt: skip
    parts = prepare(config, tmp_path / "parts", shares)
    build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)
    for name in FILES:
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_part_that_lacks_is_named(config: DataConfig, tmp_path: Path) -> None:
    parts = prepare(config, tmp_path / "parts", 4)
    for part in (1, 3):
        Share(part, 4).file(parts).unlink()
    with pytest.raises(BadInput, match=r"2 of 4 parts lack, 1,3 first.*--part 1 --of 4.*sbatch --array=1,3"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)
    assert list((tmp_path / "joined").iterdir()) == []
    (parts / "0-of-2 (copy).parquet").touch()
    with pytest.raises(BadInput, match=r"2 of 4 parts lack"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)


def test_parts_of_two_ways_to_share_out_are_refused(config: DataConfig, tmp_path: Path) -> None:
    prepare(config, tmp_path / "parts", 2)
    with pytest.raises(BadInput, match="parts of 2 and of 3 shares"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=prepare(config, tmp_path / "parts", 3))


def test_parts_of_sources_that_changed_are_refused(config: DataConfig, tmp_path: Path) -> None:
    parts = prepare(config, tmp_path / "parts", 2)
    with (tmp_path / "two" / "texts.jsonl").open("a") as file:
        file.write(json.dumps({"text": make_text(999), "authors": "A. B."}) + "\n")
    prepare_part(config, Share(0, 2), parts, lambda _: None)
    with pytest.raises(BadInput, match=r"more and less|do not belong together"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)


@pytest.mark.parametrize("damage", [b"no parquet", b""])
def test_a_damaged_part_is_refused(config: DataConfig, tmp_path: Path, damage: bytes) -> None:
    """The whole of it, or a page in its middle."""
    parts = prepare(config, tmp_path / "parts", 2)
    file = Share(1, 2).file(parts)
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:4] + b"\xff" * 1000 + whole[1004:])
    with pytest.raises(BadInput, match=r"(?s)no part that can be read.*delete it and prepare it again"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)


def test_a_text_that_was_changed_in_a_part_is_refused(config: DataConfig, tmp_path: Path) -> None:
    from pyarrow import parquet

    parts = prepare(config, tmp_path / "parts", 1)
    file = Share(0, 1).file(parts)
    table = parquet.read_table(file)
    texts = table["text"].to_pylist()
    texts[0] += "!"
    items = parquet.ParquetFile(file).metadata.metadata[b"items"]
    changed = table.set_column(2, "text", [texts]).replace_schema_metadata({b"items": items})
    parquet.write_table(changed, file, row_group_size=64)
    with pytest.raises(BadInput, match="is not the text that was judged"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)
    parquet.write_table(table.drop_columns(["title"]), file)
    with pytest.raises(BadInput, match="it has other columns"):
        build_corpus(config, tmp_path / "joined", lambda _: None, parts=parts)


@pytest.mark.parametrize("part", [-1, 3])
def test_a_share_that_there_is_not(part: int) -> None:
    with pytest.raises(BadInput, match="the parts count from 0 to 2"):
        Share(part, 3)
