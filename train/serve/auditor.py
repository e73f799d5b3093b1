"""The audit of what is served, made once while it is served: in a process of its own, which ends with the server."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from train.records import BadInput, printable, read_json

_ROOT = Path(__file__).resolve().parents[2]


class Auditor:
    """`answer`: {"state": "being computed"}, then {"state": "done", ...} with what `audit --json` writes.

    `bases`: the folders of the models that the release was made from.
    """

    def __init__(self, release: Path, bases: Sequence[Path] = ()) -> None:
        self._asked = [str(release.resolve()), *(word for base in bases for word in ("--base", str(base.resolve())))]
        self.answer: dict[str, Any] = {"state": "being computed"}

    async def audit(self) -> None:
        """Run `python -m train audit` where the model leaves time for it; on cancellation it is killed."""
        try:
            with tempfile.TemporaryDirectory() as work:
                said = await self._run(Path(work) / "audit.json")
                self.answer = {"state": "done", **read_json(Path(work) / "audit.json")}
        except BadInput:  # there is no answer to read: the last line says why
            self._fail((said.strip().splitlines() or ["it ended without an answer"])[-1])
        except OSError as error:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self.answer = {"state": "failed", "why": printable(why)}

    async def _run(self, answer: Path) -> str:
        """What it says where it goes wrong."""
        paths = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "train", "audit", *self._asked, "--json", str(answer)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
        try:
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, 10)
            _, said = await process.communicate()
            return said.decode("utf-8", "replace")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
