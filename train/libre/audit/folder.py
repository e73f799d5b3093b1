"""A folder from somebody else, as its files lie there: nothing is followed out of it, and nothing is read whole."""

import mmap
import stat
from pathlib import Path

_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".msgpack", ".h5"}
_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how its files began before they were zip archives


def walk(folder: Path) -> tuple[list[str], list[str]]:
    """(files, what is neither file nor folder), without following a link."""
    files: list[str] = []
    irregular: list[str] = []
    ahead = [folder]
    while ahead:
        for path in sorted(ahead.pop().iterdir()):
            name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
            if stat.S_ISDIR(mode):
                ahead.append(path)
            else:
                (files if stat.S_ISREG(mode) else irregular).append(name)
    return sorted(files), sorted(irregular)


def is_pickled(path: Path) -> bool:
    """Whether a program would have to unpickle a file, by its name or by how it begins.

    A pickle of protocol 2 or later begins with 0x80 and its number and ends with a dot; torch puts one into a zip
    archive as data.pkl, a name that is looked for without reading the archive.
    """
    if path.suffix.lower() in _PICKLES:
        return True
    with path.open("rb") as file:
        begins = file.read(len(_TORCH))
        if begins.startswith(b"PK\x03\x04"):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                return whole.find(b"data.pkl") >= 0
        if begins == _TORCH:
            return True
        if len(begins) < 2 or begins[0] != 0x80 or not 2 <= begins[1] <= 5:
            return False
        file.seek(-1, 2)
        return file.read(1) == b"."
