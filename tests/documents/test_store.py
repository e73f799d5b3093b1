"""Documents on disk: read a few at a time, whatever the size of the file."""

import random
import time
from datetime import datetime
from pathlib import Path

import pyarrow
from pyarrow import parquet

from train.documents import read_documents
from train.documents.store import documents_file, write_documents
from train.documents.tables import read_table
from train.records import Document

_COUNT, _SIZE = 20_000, 4000


def write(folder: Path) -> None:
    """Documents that cannot be packed small: 41 MB of file."""
    letters = random.Random(0)
    with write_documents(folder, "train") as writer:
        for number in range(_COUNT):
            text = letters.randbytes(_SIZE // 2).hex()
            writer.write(Document(id=str(number), text=text, source="s", sha256="", n_bytes=len(text)))


def test_what_has_been_read_is_let_go(tmp_path: Path) -> None:
    write(tmp_path)
    before, most = pyarrow.total_allocated_bytes(), 0
    for number, document in enumerate(read_documents(tmp_path, "train")):
        assert document.id == str(number)
        most = max(most, pyarrow.total_allocated_bytes() - before)
    assert number == _COUNT - 1
    assert most < documents_file(tmp_path, "train").stat().st_size / 2


def test_small_documents_share_a_group(tmp_path: Path) -> None:
    write(tmp_path)
    with parquet.ParquetFile(documents_file(tmp_path, "train")) as file:
        rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert set(rows[:-1]) == {-(-(2**23) // _SIZE)}
    assert sum(rows) == _COUNT


def test_times_are_text_and_midnights_days(tmp_path: Path) -> None:
    given = [datetime(1861, 3, 4), datetime(1861, 3, 4, 12, 30), None]
    parquet.write_table(pyarrow.table({"at": given, "all": [[one] for one in given]}), tmp_path / "a.parquet")
    said = ["1861-03-04", "1861-03-04 12:30:00", None]
    assert list(read_table("parquet", tmp_path / "a.parquet")) == [{"at": one, "all": [one]} for one in said]


def test_a_table_is_not_read_ahead_of_who_is_slow(tmp_path: Path) -> None:
    write(tmp_path)
    before, most = pyarrow.total_allocated_bytes(), 0
    for row in read_table("parquet", documents_file(tmp_path, "train")):
        if int(row["id"]) % 100 == 0:
            time.sleep(0.01)
        most = max(most, pyarrow.total_allocated_bytes() - before)
    assert row["id"] == str(_COUNT - 1)
    assert most < _COUNT * _SIZE / 4
