"""Books of Project Gutenberg as two packages hold them."""

import configparser
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from train.documents.archives import Archive
from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.readers.plain import locate, select

_FIRST_LINE = re.compile(r"\[(?P<title>.+?)(?:,? by (?P<author>.+?))?(?: (?P<year>1[5-9]\d\d))?\]\s*")
_SMALL_PRINT = re.compile(
    r"\*END[* ]THE SMALL PRINT|\*\*\* ?END OF TH|End of (?:the )?Project Gutenberg", re.IGNORECASE
)


def read_gutenberg(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Books whose first line is [Title by Author Year]; that line goes into the metadata."""
    for member in select(source, archive):
        text = _clean(archive.read(member))
        first = _FIRST_LINE.match(text)
        if first is None:
            raise ValueError(f"{member} does not begin with [Title by Author Year]")
        record = {"title": first["title"], "date": first["year"] or "", "url": locate(source, member)}
        if first["author"]:
            record["authors"] = re.sub(r"\b([A-Z]\.)(?=[A-Z])", r"\1 ", first["author"])  # G.K. as G. K.
        yield {**record, "id": PurePosixPath(member).stem}, text[first.end() :].encode()


def read_shakespeare(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Works listed in an INI file, each under the name of its text file: creator, title, address."""
    table = configparser.ConfigParser(interpolation=None, strict=False)
    table.read_string(archive.read(source.metadata).decode("utf-8"))
    folder = PurePosixPath(source.metadata).parent
    for name in table.sections():
        work = table[name]
        family, _, given = work["creator"].partition(", ")
        record = {"id": name, "url": work["url"], "authors": f"{given} {family}".strip(), "title": work["title"]}
        member = f"{folder}/{name}.txt"
        if member in archive.names:
            yield (
                {**record, "edition": "folio" if name.endswith("_f") else "modern"},
                _clean(archive.read(member)).encode(),
            )


def _clean(raw: bytes) -> str:
    """The book alone: plain line ends, no end-of-file signs of old systems, nothing of the collection's small print."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    text = text.replace("\r\n", "\n").replace("\x1a", "").replace("\x0c", "\n")
    end = _SMALL_PRINT.search(text, len(text) // 2)
    return "\n".join(line.rstrip() for line in text[: end.start() if end else None].split("\n")).strip() + "\n"
