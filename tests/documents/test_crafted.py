"""Files of documents from somebody else: what they would unpack to, and what their columns hold, is looked at first."""

import os
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet

from train.documents import documents_file, find_document, read_documents, tables, withdrawn, write_documents
from train.documents import store as module
from train.records import BadInput, Document, read_json, read_rows

SMALL = 2**22  # bytes, in place of a gigabyte


def write(folder: Path, count: int, text: str) -> None:
    """Documents of one text, which stands in the file once."""
    rows = [Document(id=f"s/{number}", text=text, source="s", sha256="", n_bytes=len(text)) for number in range(count)]
    with write_documents(folder, "train") as writer:
        for row in rows:
            writer.write(row)


def take_at_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """So many bytes are unpacked at once."""
    for room in (module, tables):
        monkeypatch.setattr(room, "LARGEST_GROUP", size)


def most_memory(folder: Path) -> int:
    """Bytes that Arrow takes while the documents are read."""
    before, most = arrow.total_allocated_bytes(), 0
    for _ in read_documents(folder, "train"):
        most = max(most, arrow.total_allocated_bytes() - before)
    return most


@pytest.mark.parametrize(
    ("count", "size", "says"), [(64, SMALL // 8, "times its size"), (1, 2 * SMALL, "unpacked to more than")]
)
def test_what_unpacks_to_more_than_texts_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, size: int, says: str
) -> None:
    write(tmp_path, count, "a" * size)
    assert documents_file(tmp_path, "train").stat().st_size < size / 64
    take_at_once(monkeypatch, SMALL)
    with pytest.raises(BadInput, match=says):
        most_memory(tmp_path)


def test_of_a_large_group_few_rows_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 64, "a" * (SMALL // 8))
    take_at_once(monkeypatch, SMALL)
    monkeypatch.setattr(module, "_PACKED", 10**6)
    assert most_memory(tmp_path) < 4 * SMALL
    assert [document.id for document in read_documents(tmp_path, "train")] == [f"s/{number}" for number in range(64)]
    found = find_document(tmp_path, "train", "s/40")
    assert found is not None
    assert found.id == "s/40"


def test_a_group_of_long_texts_is_closed_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CHARACTERS", 1000)
    write(tmp_path, 8, "a" * 300)
    with parquet.ParquetFile(documents_file(tmp_path, "train")) as file:
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [4, 4]
    assert len(list(read_documents(tmp_path, "train"))) == 8


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("text", [1, 2], "column text is of type int64"),
        ("id", [b"s/0", b"s/1"], "column id is of type binary"),
        ("n_bytes", ["1", "2"], "column n_bytes is of type string"),
        ("authors", ["Ann", "Bo"], "column authors is of type string"),
        ("authors", [[1], [2]], "column authors is of type"),
        ("text", ["one", None], "a field is empty"),
        ("authors", [["Ann"], None], "not a table of documents"),
        ("authors", [["Ann"], [None]], "a field is empty"),
        ("more", ["a", "b"], "not a table of documents"),
    ],
)
def test_a_column_of_another_type_is_refused(tmp_path: Path, column: str, values: list[Any], says: str) -> None:
    write(tmp_path, 2, "a text")
    table = parquet.read_table(documents_file(tmp_path, "train"))
    kept = table.drop_columns([column]) if column in table.column_names else table
    parquet.write_table(kept.append_column(column, [values]), documents_file(tmp_path, "train"))
    with pytest.raises(BadInput, match=says):
        list(read_documents(tmp_path, "train"))
    with pytest.raises(BadInput, match=says):
        find_document(tmp_path, "train", "s/1")


def test_a_statement_of_any_size_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "attest" / "withdrawals"
    folder.mkdir(parents=True)
    with (folder / "x.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadInput, match="larger than 64 MB"):
        withdrawn(tmp_path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """One would be waited for without end."""
    os.mkfifo(tmp_path / "config.json")
    for read in (read_json, lambda path: list(read_rows(path))):
        with pytest.raises(BadInput, match="not a plain file"):
            read(tmp_path / "config.json")


def test_a_table_of_ones_own_is_read_a_few_rows_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_at_once(monkeypatch, SMALL)
    parquet.write_table(arrow.table({"text": ["a" * (SMALL // 8)] * 64}), tmp_path / "a.parquet")
    before = arrow.total_allocated_bytes()
    count = 0
    for row in tables.read_table("parquet", tmp_path / "a.parquet"):
        count += 1
        assert len(row["text"]) == SMALL // 8
        assert arrow.total_allocated_bytes() - before < 4 * SMALL
    assert count == 64
