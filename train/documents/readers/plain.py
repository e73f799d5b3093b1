"""Packages whose texts lie there as files: by pattern, by a table of metadata, or as a project's documentation."""

import csv
import io
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath

from train.documents.archives import Archive
from train.documents.configs import Kind, SourceConfig
from train.documents.make import Record, fill
from train.records import BadInput

_UNDERLINE = re.compile(r"^([=\-~`:'\"^_*+#<>.])\1{2,}$")


def select(source: SourceConfig, archive: Archive) -> Iterator[str]:
    """The members whose names fit one of the source's patterns."""
    return (name for name in archive.names if any(fnmatch(name, pattern) for pattern in source.files))


def locate(source: SourceConfig, member: str) -> str:
    """Where a member stands, for a text that says no address of its own: a package URL (ECMA-427)."""
    package = source.package.replace("@", "%40")
    return f"pkg:{source.kind.name}/{package}@{source.version}#{inside(source, member)}"


def inside(source: SourceConfig, member: str) -> str:
    """A member's path below the folder that sdists and npm's packages put around everything; wheels have none."""
    return member if source.kind is Kind.pypi and not source.sdist else member.partition("/")[2]


def read_members(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """The archive's text files, by pattern; each is a document."""
    for member in select(source, archive):
        yield {"id": member, "file": member}, archive.read(member)


def read_table(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """A table of metadata in the archive, whose rows say where each text stands."""
    try:
        rows = list(csv.DictReader(io.StringIO(archive.read(source.metadata).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{source.metadata}: not a table that can be read ({error})") from error
    for row in rows:
        yield row, archive.read(fill(source.text, row))


_COMMENT = re.compile(r"\A\s*\.\.[ \t]*(?:\(?c\)?opyright.*|licensed.*|)\n(?:[ \t]+\S.*\n|[ \t]*\n)+", re.IGNORECASE)
_RAW = re.compile(r"^([ \t]*)\.\. raw ?:: +\w+.*\n(?:[ \t]*\n|\1[ \t]+.*\n)*", re.MULTILINE)


def read_documentation(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """A project's documentation in reStructuredText or Markdown, by pattern; each file is a document.

    It stays as its authors wrote it, with two exceptions: the licence that heads some projects' every file, and blocks
    of raw HTML. A file that is not UTF-8 is left to be listed as such.
    """
    for member in select(source, archive):
        raw = archive.read(member)
        try:
            text = _RAW.sub("", _COMMENT.sub("", raw.decode("utf-8").replace("\r\n", "\n")))
        except UnicodeDecodeError:
            text = ""
        about = {"id": inside(source, member), "url": locate(source, member), "title": _heading(text)}
        about["title"] = about["title"] or PurePosixPath(member).stem
        yield about, text.strip().encode() + b"\n" if text else raw


def _heading(text: str) -> str:
    """The first heading: a line with a line of signs under it, or one that begins with #."""
    before = ""
    for line in text.splitlines()[:200]:
        if line.startswith("# "):
            return line[2:].strip()
        if _UNDERLINE.match(line.strip()) and before and not _UNDERLINE.match(before):
            return before.lstrip("\ufeff")
        before = line.strip()
    return ""
