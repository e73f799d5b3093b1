"""Read wheels, sdists and npm tarballs as archives: nothing is extracted, installed or run.

An archive comes from outside. Before a byte of it is used, every member is looked at: no path that leaves the archive,
no link, no device, no more and no larger members than a text corpus can need.
"""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from train.records import BadInput, printable

MAX_MEMBERS = 500_000
MAX_MEMBER_BYTES = 512 * 2**20
MAX_TOTAL_BYTES = 4 * 2**30
_MAX_PICKED = 64 * 2**20

# What the standard library raises on an archive that is damaged, encrypted or of a kind it does not read.
_BROKEN = (OSError, EOFError, KeyError, RuntimeError, UnicodeDecodeError, lzma.LZMAError, zlib.error, tarfile.TarError,
           zipfile.BadZipFile)  # fmt: skip
_ZIP_LINK = 0o120000
_ZIP_TYPE = 0o170000


class Archive:
    """The regular files of a zip or tar archive, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._tar: tarfile.TarFile | None = None
        try:
            if zipfile.is_zipfile(path):
                self._zip = zipfile.ZipFile(path)
            else:
                self._tar = tarfile.open(path)  # noqa: SIM115 - closed in __exit__
            self._sizes = dict(self._members())
        except _BROKEN as error:
            raise BadInput(f"{path.name}: not an archive that can be read ({error})") from error
        if len(self._sizes) > MAX_MEMBERS or sum(self._sizes.values()) > MAX_TOTAL_BYTES:
            raise BadInput(f"{path.name}: more than {MAX_MEMBERS} files or {MAX_TOTAL_BYTES} bytes; not read")

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        for archive in (self._zip, self._tar):
            if archive is not None:
                archive.close()

    @property
    def names(self) -> list[str]:
        """The names of the regular files, in the archive's order (a compressed tar is read forwards fastest)."""
        return list(self._sizes)

    def read(self, name: str) -> bytes:
        """The bytes of one member. Raises BadInput if it is not there or is larger than it said."""
        if name not in self._sizes:
            raise BadInput(f"{self.path.name}: holds no file {printable(name)!r}")
        size = self._sizes[name]
        try:
            data = self._read(name, size + 1)
        except _BROKEN as error:
            raise BadInput(f"{self.path.name}: {printable(name)!r} cannot be read ({error})") from error
        if len(data) != size:
            raise BadInput(f"{self.path.name}: {printable(name)!r} is not as long as the archive says")
        return data

    def _read(self, name: str, limit: int) -> bytes:
        if self._zip is not None:
            with self._zip.open(name) as member:
                return member.read(limit)
        assert self._tar is not None
        extracted = self._tar.extractfile(name)
        return extracted.read(limit) if extracted is not None else b""

    def _members(self) -> Iterator[tuple[str, int]]:
        if self._zip is not None:
            for info in self._zip.infolist():
                if (info.external_attr >> 16) & _ZIP_TYPE == _ZIP_LINK:
                    raise BadInput(f"{self.path.name}: holds a link ({printable(info.filename)!r}); not read")
                if not info.is_dir():
                    yield self._checked(info.filename, info.file_size)
        elif self._tar is not None:
            for number, member in enumerate(self._tar):
                if not (member.isreg() or member.isdir()):
                    raise BadInput(f"{self.path.name}: holds a link or a device ({printable(member.name)!r}); not read")
                if number > MAX_MEMBERS:
                    raise BadInput(f"{self.path.name}: more than {MAX_MEMBERS} files; not read")
                if member.isreg():
                    yield self._checked(member.name, member.size)

    def _checked(self, name: str, size: int) -> tuple[str, int]:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise BadInput(f"{self.path.name}: holds a path that leaves the archive ({printable(name)!r}); not read")
        if size > MAX_MEMBER_BYTES:
            raise BadInput(f"{self.path.name}: {printable(name)!r} is larger than {MAX_MEMBER_BYTES} bytes; not read")
        return name, size


def pick(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """A few regular files of a tar archive, which is read once from its beginning and no further than needed.

    Raises BadInput, naming what is like it, if one is not there.
    """
    found: dict[str, bytes] = {}
    seen: list[str] = []
    total = 0
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                total += member.size
                if len(seen) > MAX_MEMBERS or total > MAX_TOTAL_BYTES:
                    raise BadInput(f"{path.name}: more than {MAX_MEMBERS} files or {MAX_TOTAL_BYTES} bytes; not read")
                if not member.isreg():
                    continue
                seen.append(member.name)
                if member.name in names and member.size <= _MAX_PICKED:
                    file = archive.extractfile(member)
                    found[member.name] = file.read() if file is not None else b""
                if len(found) == len(names):
                    return found
    except _BROKEN as error:
        raise BadInput(f"{path.name}: not an archive that can be read ({error})") from error
    lacking = next(name for name in names if name not in found)
    near = [printable(name) for name in get_close_matches(lacking, seen, 3)]
    raise BadInput(f"{path.name}: holds no {printable(lacking)}; there are {', '.join(near) or f'{len(seen)} others'}")
