"""A corpus judged in shares, by an array of jobs: each writes a part, and a run puts the parts together.

PART-of-SHARES.parquet    a share's documents, each judged by itself, with their numbers in the corpus

Every job reads all that the sources hold, which is a small part of the work, and looks at its own share alone.
"""

import heapq
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from train.documents.duplicates import Fingerprint
from train.documents.judge import Judged
from train.documents.store import GROUP, RowWriter
from train.records import BadInput, Document, Excluded, canonical_json, write_atomically

_COLUMNS = ("number", "about", "text", "title", "personal_data", "exact", "sketch")
_ITEMS = b"items"


@dataclass(frozen=True)
class Share:
    """One of `shares` shares of the documents, from 0: the documents go round in blocks."""

    part: int
    shares: int

    def __post_init__(self) -> None:
        if not 0 <= self.part < self.shares:
            raise BadInput(f"part {self.part} of {self.shares}: the parts count from 0 to {self.shares - 1}")

    def has(self, number: int) -> bool:
        """Whether the document of this number is in it."""
        return number // GROUP % self.shares == self.part

    def file(self, folder: Path) -> Path:
        """Where it is written."""
        return folder / f"{self.part}-of-{self.shares}.parquet"


class PartWriter:
    """Takes what was judged. `items`: how many documents the sources hold in all, those of other shares too."""

    def __init__(self, rows: RowWriter) -> None:
        self._rows, self.items = rows, 0

    def write(self, number: int, judged: Judged) -> None:
        """Add one document, or why it stays out."""
        found, text, marks = judged.found, None, judged.fingerprint
        about = found.metadata() if isinstance(found, Document) else asdict(found)
        if isinstance(found, Document):
            text = found.text
        self._rows.write(
            {
                "number": number,
                "about": canonical_json(about).decode(),
                "text": text,
                "title": judged.title,
                "personal_data": canonical_json(dict(judged.personal_data)).decode(),
                "exact": marks and marks.exact,
                "sketch": marks and marks.sketch.astype("<u4").tobytes(),
            }
        )


@contextmanager
def write_part(folder: Path, share: Share) -> Iterator[PartWriter]:
    """A writer of a share, whose file appears when it is complete."""
    import pyarrow as arrow

    kinds = {"number": arrow.int64(), "exact": arrow.binary(), "sketch": arrow.binary()}
    with write_atomically(share.file(folder), "wb") as file:
        rows = RowWriter(file, _COLUMNS, kinds)
        part = PartWriter(rows)
        try:
            yield part
        finally:
            rows.close({_ITEMS.decode(): str(part.items)})


def shared_out(folder: Path) -> int:
    """Into how many shares the documents of this folder were shared out; 0 where none was judged."""
    found = {path.stem.partition("-of-")[2] for path in folder.glob("*-of-*.parquet")}
    if len(found) > 1:
        raise BadInput(f"{folder}: parts of {' and of '.join(sorted(found))} shares; delete the folder and begin again")
    return int(found.pop()) if found else 0


def read_parts(folder: Path) -> Iterator[Judged]:
    """All documents in the order of their sources. Raises BadInput where parts lack, or do not belong together."""
    shares = [Share(part, total) for total in [shared_out(folder)] for part in range(total)]
    missing = [str(share.part) for share in shares if not share.file(folder).is_file()]
    if missing:
        raise BadInput(
            f"{folder}: of {len(shares)} parts {', '.join(missing[:20])} lack; wait for them, prepare them "
            f"(sbatch --array={','.join(missing[:20])} slurm/corpus.sbatch ...), or delete the folder to do without"
        )
    with ExitStack() as stack:
        files = {path: stack.enter_context(_open(path)) for path in (share.file(folder) for share in shares)}
        ahead = count()
        for row in heapq.merge(*(_rows(path, file) for path, file in files.items()), key=lambda row: row["number"]):
            if row["number"] != next(ahead):
                raise BadInput(f"{folder}: its parts do not belong together; delete the folder and begin again")
            yield _read(folder, row)
        if {int(file.metadata.metadata[_ITEMS]) for file in files.values()} != {next(ahead)}:
            raise BadInput(f"{folder}: its parts were made of sources that held more and less; begin again")


def _open(path: Path) -> Any:
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _rows(path: Path, file: Any) -> Iterator[dict[str, Any]]:
    try:
        for group in file.iter_batches(batch_size=GROUP):
            yield from group.to_pylist()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path}: no part that can be read ({error}); delete it and prepare it again")


def _read(folder: Path, row: dict[str, Any]) -> Judged:
    about = json.loads(row["about"])
    about["authors"] = tuple(about["authors"])
    if row["text"] is None:
        return Judged(Excluded(**about), row["title"])
    document = Document(**about, text=row["text"])
    if not document.is_whole():
        raise BadInput(f"{folder}: {document.id} is not the text that was judged; delete the folder and begin again")
    marks = Fingerprint(row["exact"], np.frombuffer(row["sketch"], "<u4").astype(np.uint32))
    return Judged(document, row["title"], json.loads(row["personal_data"]), marks)
