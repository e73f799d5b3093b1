"""One run in one folder at a time: an flock, which the kernel lets go when the process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from train.records import BadInput


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` while the block runs. Raises BadInput if another run holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"{folder}: another run is at work in this folder; wait, or choose run.name=...") from error
        yield
