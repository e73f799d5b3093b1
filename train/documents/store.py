"""Documents on disk: Parquet, one file per split, written and read a few documents at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.documents.tables import open_parquet
from train.records import BadInput, Document, Excluded, printable, read_json, read_rows, write_atomically

SPLITS = ("train", "validation")

GROUP = 64  # rows that are read at once
_CHARACTERS = 2**23  # of a group of documents, or more: what a file says of each group is kept while it is read
_COLUMNS = (
    *("id", "sha256", "text", "source", "url", "authors", "title", "date", "language"),
    *("licence", "licence_basis", "retrieved", "n_bytes", "split"),
)


def documents_file(folder: Path, split: str) -> Path:
    """Where the documents of a split lie."""
    return folder / f"documents-{split}.parquet"


def read_documents(folder: Path, split: str) -> Iterator[Document]:
    """The documents of one split in their order, streamed."""
    with _opened(folder, split) as file:
        for group in file.iter_batches(batch_size=GROUP):
            yield from map(_document, group.to_pylist())


def find_document(folder: Path, split: str, id: str) -> Document | None:
    """The document of a split that has this id; no texts are read but those in the same group of the file."""
    with _opened(folder, split) as file:
        for group in range(file.num_row_groups):
            if id in file.read_row_group(group, columns=["id"])["id"].to_pylist():
                batches = file.iter_batches(batch_size=GROUP, row_groups=[group])
                return next(_document(row) for batch in batches for row in batch.to_pylist() if row["id"] == id)
    return None


@contextmanager
def _opened(folder: Path, split: str) -> Iterator[Any]:
    path = documents_file(folder, split)
    try:
        with open_parquet(path) as file:
            yield file
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path}: not a table of documents that can be read ({error})") from error


def _document(row: dict[str, Any]) -> Document:
    return Document(**{**row, "authors": tuple(row["authors"])})


def largest_group(folder: Path, split: str) -> int:
    """The bytes of the largest part of a split's file that is unpacked at once, as the file states them."""
    path = documents_file(folder, split)
    try:
        with open_parquet(path) as file:
            groups = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not a table of documents that can be read ({error})") from error
    return max(groups, default=0)


def withdrawn(folder: Path) -> dict[str, str]:
    """The sha256 of each text that was withdrawn from a release, and why (attest/withdrawals/)."""
    gone: dict[str, str] = {}
    for path in sorted((folder / "attest" / "withdrawals").glob("*.json")):
        try:
            said = read_json(path)["predicate"]
            gone |= {str(row["sha256"]): str(said["why"]) for row in said["documents"]}
        except (KeyError, TypeError) as error:
            raise BadInput(f"{path}: not a withdrawal that can be read ({error})") from error
    return gone


def read_release_documents(folder: Path) -> Iterator[Document | Excluded]:
    """The documents of a release in the order of its manifest, each held against it, and then what was left out.

    One that was withdrawn comes without its text.
    """
    gone = withdrawn(folder)
    texts = {split: read_documents(folder / "data", split) for split in SPLITS}
    for row in read_rows(folder / "data" / "manifest.jsonl"):
        document = next(texts.get(str(row.get("split")), iter(())), None)
        whole = document is not None and document.metadata() == row
        if document is None or not whole or not (document.sha256 in gone or document.is_whole()):
            raise BadInput(f"{folder}: {printable(str(row.get('id')))} is not the document that its manifest lists")
        if document.sha256 in gone and document.text:
            raise BadInput(
                f"{folder}: {printable(document.id)} was withdrawn, and its text is still there: withdraw it again"
            )
        yield document
    for split, rest in texts.items():
        if next(rest, None) is not None:
            raise BadInput(f"{documents_file(folder / 'data', split)}: holds documents that the manifest does not list")
    for row in read_rows(folder / "data" / "excluded.jsonl"):
        try:
            yield Excluded(**{**row, "authors": tuple(row["authors"])})
        except (KeyError, TypeError) as error:
            raise BadInput(f"{folder}/data/excluded.jsonl: a line without {printable(str(error))}") from error


class RowWriter:
    """Appends rows to an open Parquet file in groups. `kinds`: the columns that are no text, by name.

    A group has GROUP rows, and goes on until it has `characters`.
    """

    def __init__(self, file: Any, columns: Sequence[str], kinds: Mapping[str, Any], characters: int = 0) -> None:
        import pyarrow as arrow
        from pyarrow import parquet

        self._schema = arrow.schema([(name, kinds.get(name, arrow.large_string())) for name in columns])
        self._table = arrow.Table
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd", write_statistics=False)
        self._group: list[dict[str, Any]] = []
        self._characters, self._enough = 0, characters

    def write(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._group.append(row)
        self._characters += len(row["text"] or "")
        if len(self._group) >= GROUP and self._characters >= self._enough:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._table.from_pylist(self._group, schema=self._schema))
        self._group, self._characters = [], 0

    def close(self, about: Mapping[str, str] | None = None) -> None:
        """Write what is left, what is to be said of the whole, and the file's end."""
        if self._group:
            self._flush()
        if about:
            self._writer.add_key_value_metadata(about)
        self._writer.close()


class DocumentWriter:
    """Appends documents to an open Parquet file."""

    def __init__(self, rows: RowWriter) -> None:
        self._rows = rows

    def write(self, document: Document) -> None:
        """Add one document."""
        row = {name: getattr(document, name) for name in _COLUMNS}
        self._rows.write({**row, "authors": list(document.authors)})


@contextmanager
def write_documents(folder: Path, split: str) -> Iterator[DocumentWriter]:
    """A writer whose file appears when it is complete."""
    import pyarrow as arrow

    kinds = {"n_bytes": arrow.int64(), "authors": arrow.list_(arrow.string())}
    with write_atomically(documents_file(folder, split), "wb") as file:
        rows = RowWriter(file, _COLUMNS, kinds, _CHARACTERS)
        try:
            yield DocumentWriter(rows)
        finally:
            rows.close()
