"""logs/rank-N.txt: what each of several processes says, its tracebacks, and where it stood when it crashed or hung."""

import faulthandler
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from train.cluster.place import Place


class _Both:
    """A stream whose text goes into a log as well. `fileno` is the log's: faulthandler writes there."""

    def __init__(self, stream: IO[str], log: IO[str]) -> None:
        self._stream, self._log = stream, log

    def write(self, text: str) -> int:
        self._log.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._log.flush()
        self._stream.flush()

    def fileno(self) -> int:
        return self._log.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def note(text: str) -> None:
    """Write into this process's log alone: of a thousand processes nobody wants to read all tracebacks at once."""
    sys.stderr.flush()
    os.write(sys.stderr.fileno(), text.encode())


@contextmanager
def rank_log(folder: Path, place: Place) -> Iterator[None]:
    """Keep what this process says in `folder`/logs; one that is alone needs no log beside its output."""
    if place.count == 1:
        yield
        return
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with (folder / "logs" / f"rank-{place.rank}.txt").open("a", encoding="utf-8", buffering=1) as log:
        start = os.environ.get("SLURM_RESTART_COUNT", "0")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        log.write(f"--- {now} rank {place.rank} of {place.count} on {place.node}, restart {start}\n")
        out: Any = _Both(sys.stdout, log)
        err: Any = _Both(sys.stderr, log)
        with redirect_stdout(out), redirect_stderr(err):
            faulthandler.enable()
            try:
                yield
            except Exception:
                traceback.print_exc(file=log)
                raise
            finally:
                faulthandler.disable()
