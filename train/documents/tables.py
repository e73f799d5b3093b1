"""The rows of a table on disk, a few at a time: it may be larger than memory."""

from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any

_ROWS = 64  # that are read at once


def read_table(kind: str, path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of Parquet, or of a kind that `datasets` reads a few rows at a time (json, csv, text).

    A Parquet file `datasets` would read ahead of who is slow, until all of it is in memory. In JSON it takes days for
    midnights: they are days again. Raises OSError or ValueError where it cannot be read.
    """
    yield from map(with_days, _parquet_rows(path) if kind == "parquet" else _streamed(kind, path))


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


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowException

    try:
        with open_parquet(path) as file:
            for batch in file.iter_batches(_ROWS):
                yield from batch.to_pylist()
    except ArrowException as error:
        raise ValueError(str(error)) from error


def _streamed(kind: str, path: Path) -> Iterator[dict[str, Any]]:
    import datasets

    try:
        yield from datasets.load_dataset(kind, data_files=str(path), split="train", streaming=True)
    except datasets.exceptions.DatasetsError as error:
        raise ValueError(str(error)) from error
