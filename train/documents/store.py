"""Documents on disk: Parquet, one file per split, written and read a few documents at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.documents.tables import GROUP, LARGEST_GROUP, open_parquet, read_batches
from train.records import BadInput, Document, Excluded, printable, read_json, read_rows, write_atomically

SPLITS = ("train", "validation")

_CHARACTERS = 2**23  # of a group of documents, or more: what a file says of each group is kept while it is read
_MOST_CHARACTERS = 2**27  # of a group, but for its last document
_MOST_VALUES = 2**24  # of a column in a group: all authors of its documents
_PACKED = 100  # how many times its size a file of more than a group may unpack to: texts pack to a third
_COLUMNS = (
    *("id", "sha256", "text", "source", "url", "authors", "title", "date", "language"),
    *("licence", "licence_basis", "retrieved", "n_bytes", "split"),
)


def documents_file(folder: Path, split: str) -> Path:
    """Where the documents of a split lie."""
    return folder / f"documents-{split}.parquet"


def read_documents(folder: Path, split: str) -> Iterator[Document]:
    """The documents of one split in their order, streamed. Raises BadInput where they are more than texts pack to."""
    left = max(LARGEST_GROUP, _PACKED * _size(documents_file(folder, split)))
    with _opened(folder, split) as file:
        for batch in read_batches(file, range(file.num_row_groups)):
            left -= batch.nbytes
            if left < 0:
                raise ValueError(f"unpacks to more than {_PACKED} times its size")
            yield from map(_document, batch.to_pylist())


def find_document(folder: Path, split: str, id: str) -> Document | None:
    """The document of a split that has this id; no texts are read but those in the same group of the file."""
    with _opened(folder, split) as file:
        for group in range(file.num_row_groups):
            if any(id in batch["id"].to_pylist() for batch in read_batches(file, [group], ["id"])):
                rows = (row for batch in read_batches(file, [group]) for row in batch.to_pylist())
                return next(_document(row) for row in rows if row["id"] == id)
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def _opened(folder: Path, split: str) -> Iterator[Any]:
    """The file of a split; what goes wrong while it is read is the user's to mend."""
    from pyarrow import ArrowException

    path = documents_file(folder, split)
    try:
        with open_parquet(path) as file:
            _check_columns(file.schema_arrow)
            _check_groups(file.metadata)
            yield file
    except (ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path}: not a table of documents that can be read ({error})") from error


def _check_columns(schema: Any) -> None:
    """Raises ValueError where a column holds something else than a document's."""
    import pyarrow as arrow

    kinds = {"n_bytes": [arrow.int64()], "authors": [arrow.list_(arrow.string())]}
    for column in schema:
        if column.type not in kinds.get(column.name, [arrow.string(), arrow.large_string()]):
            raise ValueError(f"its column {printable(column.name)} is of type {column.type}")


def _check_groups(metadata: Any) -> None:
    """Raises ValueError where a group, by what the file says of it, would unpack to too much."""
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        values = max(group.column(number).num_values for number in range(group.num_columns))
        if group.total_byte_size > LARGEST_GROUP or values > _MOST_VALUES:
            raise ValueError(f"a part of it would be unpacked to more than {LARGEST_GROUP >> 20} MB at once")


def _document(row: dict[str, Any]) -> Document:
    authors = tuple(row["authors"])
    if None in (*row.values(), *authors):
        raise ValueError(f"{printable(str(row['id']))}: a field is empty")
    return Document(**{**row, "authors": authors})


def withdrawn(folder: Path) -> dict[str, str]:
    """The sha256 of each text that was withdrawn from a release, and why; statements (attest/withdrawals/) about
    another release are passed over."""
    gone: dict[str, str] = {}
    for path in sorted((folder / "attest" / "withdrawals").glob("*.json")):
        statement, record = read_json(path), read_json(folder / "release.json")
        try:
            said = statement["predicate"]
            if statement["subject"][0]["digest"]["sha256"] == record["digest"]:
                gone |= {str(row["sha256"]): str(said["why"]) for row in said["documents"]}
        except (IndexError, KeyError, TypeError) as error:
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
        _check_id(folder, document.id)
        yield document
    for split, rest in texts.items():
        if next(rest, None) is not None:
            raise BadInput(f"{documents_file(folder / 'data', split)}: holds documents that the manifest does not list")
    for row in read_rows(folder / "data" / "excluded.jsonl"):
        yield _excluded(folder, row)


def _excluded(folder: Path, row: dict[str, Any]) -> Excluded:
    try:
        found = Excluded(**{**row, "authors": tuple(row["authors"])})
    except (KeyError, TypeError) as error:
        raise BadInput(f"{folder}/data/excluded.jsonl: a line without {printable(str(error))}") from error
    kinds = {"rule_version": int, "n_bytes": int, "authors": tuple}
    wrong = [name for name, value in vars(found).items() if type(value) is not kinds.get(name, str)]
    if wrong or not all(isinstance(author, str) for author in found.authors):
        raise BadInput(f"{folder}/data/excluded.jsonl: a line whose {(wrong or ['authors'])[0]} is of another type")
    _check_id(folder, found.id)
    return found


def _check_id(folder: Path, id: str) -> None:
    if "/" not in id:
        raise BadInput(f"{folder}: {printable(id)!r} is no document's id, which is SOURCE/NAME")


class RowWriter:
    """Appends rows to an open Parquet file in groups. `kinds`: the columns that are no text, by name.

    A group has GROUP rows, and goes on until it has `characters`; of very long texts it has fewer.
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
        full = len(self._group) >= GROUP and self._characters >= self._enough
        if full or self._characters >= _MOST_CHARACTERS:
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
