"""The rows of a table on disk, a few at a time: it may be larger than memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROWS = 64  # that are read at once


def read_table(kind: str, path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of a kind that `datasets` reads (json, csv, text) or of Parquet.

    Raises OSError, ValueError or `datasets`' DatasetGenerationError where it cannot be read.
    """
    if kind == "parquet":
        yield from _parquet_rows(path)
        return
    import datasets

    yield from datasets.load_dataset(kind, data_files=str(path), split="train", streaming=True)


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """`datasets` reads ahead of who is slow until all of the file is in memory."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:  # true keeps all that was read
            for batch in file.iter_batches(_ROWS):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error
