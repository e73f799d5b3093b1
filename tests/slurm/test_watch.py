"""A process that is killed, stopped or stuck: the others say which, where all stood, and end."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.conftest import ROOT
from train.cluster.verdict import Judge, Verdict, Word

PATIENCE = 20


def beats(words: list[Word], count: int, judge: Judge, silent: tuple[int, ...] = ()) -> Verdict | None:
    """The first verdict within so many beats in which nothing moves."""
    for beat in range(1, count + 1):
        told = [word if word.rank in silent else replace(word, beat=word.beat + beat) for word in words]
        if (verdict := judge.look(told)) is not None:
            return verdict
    return None


def four(**changes: object) -> list[Word]:
    return [Word(rank=rank, node=f"n{rank}", where="step 7", part="adding up", **changes) for rank in range(4)]


def test_a_silent_process_is_lost_and_named() -> None:
    words, judge = four(at_length=True), Judge(PATIENCE)
    assert beats(words, PATIENCE, judge, silent=(2,)) is None
    verdict = beats(words, 1, judge, silent=(2,))
    assert verdict is not None
    assert (verdict.code, verdict.about, verdict.lost) == (os.EX_TEMPFAIL, 2, True)
    assert "rank 2 (n2) no longer answers; it was last heard of at: step 7, adding up" in verdict.line


def test_nothing_moves() -> None:
    words = four()
    words[2] = replace(words[2], where="step 6", part="")
    judge = Judge(PATIENCE)
    assert beats(words, PATIENCE, judge) is None
    moved = [replace(words[0], moves=9), *words[1:]]
    assert beats(moved, PATIENCE, judge) is None  # one has moved: it is counted anew
    verdict = beats(moved, 1, judge)
    assert verdict is not None
    assert verdict.line == "nothing has moved for 20 s"
    assert verdict.standing == "  step 7, adding up: ranks 0-1, 3\n  step 6: rank 2 (n2)"


def test_while_the_first_takes_its_time_nothing_needs_to_move() -> None:
    words = four()
    words[0] = replace(words[0], at_length=True)
    assert beats(words, 50 * PATIENCE, Judge(PATIENCE)) is None


def test_one_that_fails_is_named_unless_another_is_lost() -> None:
    words = four()
    words[1] = replace(words[1], failure="RuntimeError: peer")
    verdict = beats(words, PATIENCE, Judge(PATIENCE))
    assert verdict is not None
    assert (verdict.code, verdict.about) == (1, 1)
    verdict = beats(words, PATIENCE, Judge(PATIENCE), silent=(3,))
    assert verdict is not None
    assert (verdict.code, verdict.about) == (os.EX_TEMPFAIL, 3)


def test_a_mistake_ends_all_with_its_code() -> None:
    words = four()
    words[3] = replace(words[3], end=2, failure="optim.lr: no")
    verdict = beats(words, 1, Judge(PATIENCE))
    assert verdict is not None
    assert (verdict.code, verdict.line) == (2, "rank 3 (n3) ended: optim.lr: no")


def test_those_who_have_left_are_not_missed() -> None:
    words = [four()[0], *four(left=True)[1:]]
    assert beats(words, 9 * PATIENCE, Judge(PATIENCE), silent=(1, 2, 3)) is None


_PROGRAM = """
import sys, time
from train.cluster import rank_log, find_place
from train.parallel import open_replicas
from pathlib import Path
place = find_place()
with rank_log(Path(sys.argv[1]), place), open_replicas(6) as replicas:
    replicas.call() if replicas.first else replicas.called()
    for step in range(1, 10**6):
        replicas.at(f"step {step}")
        if sys.argv[2] == "stuck" and place.rank == 1 and step == 3:
            time.sleep(600)
        if sys.argv[2] == "bug" and place.rank == 1 and step == 3:
            raise KeyError("a mistake of ours")
        replicas.largest(step)
        print(step, flush=True)
        time.sleep(0.1)
"""


def start(folder: str, how: str) -> list[subprocess.Popen[str]]:
    """Two processes that meet as they would on one node of a cluster."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    step = {"SLURM_JOB_ID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost"}
    step |= {"SLURM_STEP_TASKS_PER_NODE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, folder, how], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "MASTER_PORT": str(port),
                 "SLURMD_NODENAME": f"n{rank + 1}", "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_survivor_ends_and_names_the_lost(rank: int, number: int, tmp_path) -> None:
    both = start(str(tmp_path), "well")
    try:
        assert both[rank].stdout is not None
        assert both[rank].stdout.readline() == "1\n"
        both[rank].send_signal(number)
        begun = time.monotonic()
        _, said = both[1 - rank].communicate(timeout=60)
        assert both[1 - rank].returncode == os.EX_TEMPFAIL
        assert time.monotonic() - begun < 6 + 3 + 30  # the patience, the last beats, a slow machine
        assert f"rank {rank}" in said
        assert "no longer answers" in said
        assert "Current thread" in (tmp_path / "logs" / f"rank-{1 - rank}.txt").read_text()
    finally:
        for process in both:
            process.kill()
            process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("stuck", os.EX_TEMPFAIL), ("bug", 1)])
def test_one_that_stands_and_one_that_fails(how: str, code: int, tmp_path) -> None:
    both = start(str(tmp_path), how)
    said = [process.communicate(timeout=90)[1] for process in both]
    assert [process.returncode for process in both] == [code, code]
    log = (tmp_path / "logs" / "rank-1.txt").read_text()
    if how == "stuck":
        for text in said:
            assert "nothing has moved for 6 s" in text
            assert "step 3, waiting for all: rank 0 (n1)\n  step 3: rank 1 (n2)" in text
        assert "time.sleep" in log or "in <module>" in log  # where it stands
    else:
        assert all("rank 1 (n2) failed at step 3: KeyError: 'a mistake of ours'" in text for text in said)
        assert "Traceback" in log
        assert "Traceback" not in said[0]
