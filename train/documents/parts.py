"""A corpus judged in shares, by an array of jobs: each writes a part, and a run puts the parts together.

PART-of-SHARES.parquet    a share's documents, each judged by itself, with their numbers in the corpus

Every job reads all that the sources hold, and looks at its own share alone: reading is what limits how many jobs help.
The documents go round in blocks, and a block is a row group of its part: when they are put together, one is in memory.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from train.documents.duplicates import Fingerprint
from train.documents.judge import Judged
from train.documents.store import RowWriter
from train.documents.tables import GROUP
from train.records import BadInput, Document, Excluded, printable, write_atomically

_COLUMNS = ("number", "about", "text", "title", "personal_data", "exact", "sketch")
_ITEMS = b"items"
_MOST = 512  # shares: whoever puts them together has their files open


@dataclass(frozen=True)
class Share:
    """One of `shares` shares of the documents, from 0: the documents go round in blocks."""

    part: int
    shares: int

    def __post_init__(self) -> None:
        if self.shares > _MOST:
            raise BadInput(f"{self.shares} shares: at most {_MOST}")
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
                "about": json.dumps(about),
                "text": text,
                "title": judged.title,
                "personal_data": json.dumps(dict(judged.personal_data)),
                "exact": marks and marks.exact,
                "sketch": marks and marks.sketch.astype("<u4").tobytes(),
            }
        )


@contextmanager
def write_part(folder: Path, share: Share) -> Iterator[PartWriter]:
    """A writer of a share, whose file appears when it is complete."""
    import pyarrow as arrow

    kinds = {"number": arrow.int64(), "exact": arrow.binary(), "sketch": arrow.binary()}
    for left in folder.glob(f".{share.file(folder).name}.*.tmp"):
        left.unlink(missing_ok=True)  # by a job that was killed
    with write_atomically(share.file(folder), "wb") as file:
        rows = RowWriter(file, _COLUMNS, kinds)
        part = PartWriter(rows)
        try:
            yield part
        finally:
            rows.close({_ITEMS.decode(): str(part.items)})


def shared_out(folder: Path) -> int:
    """Into how many shares the documents of this folder were shared out; 0 where none was judged."""
    names = (re.fullmatch(r"\d+-of-(\d+)\.parquet", path.name) for path in folder.glob("*.parquet"))
    found = {name[1] for name in names if name}
    if len(found) > 1:
        raise BadInput(f"{folder}: parts of {' and of '.join(sorted(found))} shares; delete the folder and begin again")
    return int(found.pop()) if found else 0


def read_parts(folder: Path) -> Iterator[Judged]:
    """All documents in the order of their sources. Raises BadInput where parts lack, or do not belong together."""
    shares = [Share(part, total) for total in [shared_out(folder)] for part in range(total)]
    missing = [share.part for share in shares if not share.file(folder).is_file()]
    if missing:
        raise BadInput(
            f"{folder}: {len(missing)} of {len(shares)} parts lack, {','.join(map(str, missing[:10]))} first; wait for "
            f"them, make them (python -m train prepare --part {missing[0]} --of {len(shares)} ..., or sbatch "
            f"--array={','.join(map(str, missing[:10]))} slurm/corpus.sbatch ...), or delete the folder to do without"
        )
    with ExitStack() as stack:
        files = [stack.enter_context(_open(share.file(folder))) for share in shares]
        ahead, blocks = count(), sum(file.num_row_groups for file in files)
        for block in range(blocks):
            share, group = shares[block % len(shares)], block // len(shares)
            for row in _read_group(share.file(folder), files[share.part], group):
                if row["number"] != next(ahead):
                    raise BadInput(f"{folder}: its parts do not belong together; delete the folder and begin again")
                yield _read(share.file(folder), row)
        if {int(file.metadata.metadata[_ITEMS]) for file in files} != {next(ahead)}:
            raise BadInput(f"{folder}: its parts were made of sources that held more and less; begin again")


def _open(path: Path) -> Any:
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if file.schema_arrow.names != list(_COLUMNS) or _ITEMS not in (file.metadata.metadata or {}):
        file.close()
        raise _unreadable(path, "it has other columns")
    return file


def _read_group(path: Path, file: Any, group: int) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = file.read_row_group(group).to_pylist()
    except (OSError, ValueError, IndexError) as error:
        raise _unreadable(path, error) from error
    return rows


def _unreadable(path: Path, why: object) -> BadInput:
    return BadInput(f"{path}: no part that can be read ({printable(str(why))}); delete it and prepare it again")


def _read(path: Path, row: dict[str, Any]) -> Judged:
    try:
        about = json.loads(row["about"])
        about["authors"] = tuple(about["authors"])
        if row["text"] is None:
            return Judged(Excluded(**about), row["title"])
        document, personal = Document(**about, text=row["text"]), json.loads(row["personal_data"])
        marks = Fingerprint(row["exact"], np.frombuffer(row["sketch"], "<u4").astype(np.uint32))
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    if not document.is_whole():
        raise _unreadable(path, f"{document.id} is not the text that was judged")
    return Judged(document, row["title"], personal, marks)
