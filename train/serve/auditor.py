"""The audit of what is served, made once while it is served: in a process of its own, which ends with the server."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from train.records import printable, read_json

_ROOT = Path(__file__).resolve().parents[2]


class Auditor:
    """`answer`: {"state": "being computed"}, then {"state": "done", ...} with what `audit --json` writes."""

    def __init__(self, release: Path) -> None:
        self._release = release.resolve()
        self.answer: dict[str, Any] = {"state": "being computed"}

    async def audit(self) -> None:
        """Run `python -m train audit` where the model leaves time for it; on cancellation it is killed."""
        with tempfile.TemporaryDirectory() as work:
            found = Path(work) / "audit.json"
            paths = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "train", "audit", str(self._release), "--json", str(found)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            )
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)
            try:
                _, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if found.is_file():
                self.answer = {"state": "done", **read_json(found)}
            else:
                why = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it ended without an answer"]
                self.answer = {"state": "failed", "why": printable(why[0])}
