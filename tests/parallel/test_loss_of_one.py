"""A process of a sharded training is killed: the others end, and name it and the step."""

import re
import signal
import time
from pathlib import Path

import pytest

from tests.parallel.ranks import start


@pytest.mark.slow
@pytest.mark.parametrize("axes", [{"shard": 3}, {"replicate": 3}])
def test_the_others_end_and_name_it(axes: dict[str, int], tmp_path: Path) -> None:
    words = ["optim.sequences_per_step=3", "optim.steps=100000", "run.log_every=1", "parallel.sequences_per_device=1"]
    case = {"axes": axes, "folder": str(tmp_path), "words": words}
    running = start(3, "tests.parallel.cases:train_all", [case])
    metrics = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (metrics.is_file() and len(metrics.read_text().splitlines()) > 5):
        time.sleep(0.2)
    time.sleep(3)  # a few beats of the watch: the others have heard of a step
    running[1].send_signal(signal.SIGKILL)
    killed, errors = time.monotonic(), ""
    for process in (running[0], running[2]):
        errors += process.communicate(timeout=120)[1]
        assert process.returncode not in (0, -signal.SIGKILL)
    assert time.monotonic() - killed < 60
    assert re.search(r"rank 1 .* no longer answers; it was last heard of at: step \d+", errors), errors[-3000:]
