"""The source of the program that made a release, as one uncompressed archive whose bytes depend on the source alone."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from train.records import BadInput, digest_file, digest_json, printable, write_atomically

_BESIDE = ("pyproject.toml", "constraints.txt", "LICENSE", "README.md")
_LARGEST = 2**28  # bytes of an archive that is read: the program itself has two million
_SUFFIXES = {".py", ".json", ".yaml", ".md", ".txt", ".toml", ".html", ".css", ".js", ".svg", ""}


def shipped(name: str) -> Path:
    """A file that comes with the program: at the root of a checkout, or inside an installed package."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / name
    return beside if (package.parent / "configs").is_dir() else package / name


def source_root() -> tuple[Path, list[str]]:
    """The folder that holds the package, and the files of the program, relative to it."""
    package = Path(__file__).resolve().parent.parent
    root = package.parent
    found = [path for folder in (package, root / "configs") for path in folder.rglob("*") if path.is_file()]
    found += [root / name for name in _BESIDE if (root / name).is_file() and (root / "configs").is_dir()]
    names = sorted(path.relative_to(root).as_posix() for path in found if path.suffix in _SUFFIXES)
    return root, [name for name in names if "__pycache__" not in name and "/." not in name]


def code_digest() -> str:
    """The digest of the program: over its files' names and contents."""
    root, names = source_root()
    return digest_json({name: digest_file(root / name) for name in names})


def write_source(path: Path) -> dict[str, Any]:
    """Write the archive; returns the program's digest and, from a git checkout, the commit and whether it was clean."""
    root, names = source_root()
    with write_atomically(path, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            data = (root / name).read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return {"digest": code_digest(), "files": len(names), "licence": "Apache-2.0", **_commit(root)}


def read_source(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files in such an archive, which may be anybody's, and their bytes.

    Raises BadInput where it is no archive or a large one, or holds what is no plain file below it, or one twice.
    """
    if path.stat().st_size > _LARGEST:
        raise BadInput(f"{path.name}: larger than {_LARGEST >> 20} MB, which no program is")
    found: set[PurePosixPath] = set()
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                below = not name.is_absolute() and ".." not in name.parts and name not in found
                if not below or not member.isfile() or member.issparse():
                    raise BadInput(f"{path.name}: {printable(member.name)[:80]} is no plain file below it, or is twice")
                found.add(name)
                data = archive.extractfile(member)
                assert data is not None
                yield member.name, data.read()
    except BadInput:
        raise
    except (tarfile.TarError, OSError, ValueError) as error:
        raise BadInput(f"{path.name}: not an archive that can be read ({error})") from error


def _commit(root: Path) -> dict[str, Any]:
    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", "train", "configs", "pyproject.toml", "constraints.txt")
    return {"commit": commit or "not from a git checkout", "clean": None if changed is None else changed == ""}
