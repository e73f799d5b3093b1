"""The rows of a table on disk, a few at a time: it may be larger than memory."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

GROUP = 64  # rows that are read at once
LARGEST_GROUP = 2**30  # bytes that are unpacked at once
_LONGEST_LINE = 2**28  # bytes of a row of JSON: longer than any book


def read_table(kind: str, path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of Parquet, or of a kind that `datasets` reads a few rows at a time (json, csv, text).

    A Parquet file `datasets` would read ahead of who is slow, until all of it is in memory. In JSON it takes days for
    midnights: they are days again. Raises OSError or ValueError where it cannot be read.
    """
    yield from map(with_days, _parquet_rows(path) if kind == "parquet" else _streamed(kind, path))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines as they stand there; what a row has not and another has is None.

    Their types are not guessed, and may differ from row to row; empty lines are none. Raises OSError or ValueError.
    """
    columns = dict.fromkeys(column for row in _objects(path) for column in row)
    for row in _objects(path):
        yield columns | row


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
            if line.isspace():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number}: not an object {{...}}")
            yield row


def with_days(value: Any) -> Any:
    """A time, or those in a row: as text, and without the hour where it is midnight."""
    if isinstance(value, dict):
        return {key: with_days(one) for key, one in value.items()}
    if isinstance(value, list):
        return [with_days(one) for one in value]
    if isinstance(value, datetime):
        return str(value if value.time() != time() else value.date())
    return value


def open_parquet(path: Path) -> Any:
    """pyarrow's ParquetFile, which lets go of what was read. Raises OSError or ValueError."""
    from pyarrow import parquet

    return parquet.ParquetFile(path, pre_buffer=False)  # true keeps all that was read


def read_batches(file: Any, groups: Iterable[int], columns: Sequence[str] | None = None) -> Iterator[Any]:
    """A few rows of an open Parquet file at a time. A text that all rows of a group share stands once in the file, and
    once for each row in memory: of a large group fewer rows are read at once."""
    for group in groups:
        rows = LARGEST_GROUP // max(1, file.metadata.row_group(group).total_byte_size)
        yield from file.iter_batches(max(1, min(GROUP, rows)), row_groups=[group], columns=columns)


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowException

    try:
        with open_parquet(path) as file:
            for batch in read_batches(file, range(file.num_row_groups)):
                yield from batch.to_pylist()
    except (ArrowException, OverflowError) as error:  # of a time beyond what Python's can be
        raise ValueError(str(error)) from error


def _streamed(kind: str, path: Path) -> Iterator[dict[str, Any]]:
    import datasets

    try:
        yield from datasets.load_dataset(kind, data_files=str(path), split="train", streaming=True)
    except datasets.exceptions.DatasetsError as error:
        raise ValueError(str(error)) from error
