"""Runs a function of a test on several gloo processes: `on_ranks(4, "tests.parallel.cases:take", {...})`."""

import importlib
import json
import os
import socket
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(count: int, function: str, words: Any) -> list[subprocess.Popen[str]]:
    """The processes, started."""
    port = str(free_port())
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.parallel.ranks", function, json.dumps(words)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={
                **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1",
            },
        )
        for rank in range(count)
    ]  # fmt: skip


def on_ranks(count: int, function: str, words: Any) -> Any:
    """What the function returns in the first process."""
    running = start(count, function, words)
    outs = [process.communicate(timeout=900) for process in running]
    assert all(process.returncode == 0 for process in running), "\n".join(err[-3000:] for _, err in outs)
    return json.loads(outs[0][0].splitlines()[-1])


if __name__ == "__main__":
    module, name = sys.argv[1].split(":")
    print(json.dumps(getattr(importlib.import_module(module), name)(json.loads(sys.argv[2]))))
