"""Checkpoints are written beside the training, and are those of one that stops for them."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.parallel.cases import job_for, train_one
from tests.run.test_checkpoint import make, save, take_steps
from train.numerics import Held, Piece, Spread, begin_file, check_pieces, write_pieces
from train.parallel import Replicas
from train.run import Step, Stopped, checkpoint
from train.run.background import Background, copied
from train.run.checkpoint import State, checkpoint_tensors, find_newest, list_checkpoints, save_checkpoint

FILES = ("model.safetensors", "optimizer.safetensors")


def case(folder: Path) -> dict[str, Any]:
    """Checkpoints at steps 0, 2 and 4, which is the last."""
    return {"folder": str(folder), "precision": "float32"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train_one(case(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        f"{path.name}/{name}": (path / name).read_bytes()
        for path in list_checkpoints(folder / "checkpoints")
        for name in FILES
    }


def before_writing(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """`act` in the thread that writes, before the weights of this step."""
    write = checkpoint.write_pieces

    def slow(path: Path, tensors: Spread) -> None:
        if path.name == FILES[0] and path.parent.name == f".step-{step:06d}.tmp":
            act()
        write(path, tensors)

    monkeypatch.setattr(checkpoint, "write_pieces", slow)


def test_what_is_saved_is_what_stood_when_it_was_copied(tmp_path: Path) -> None:
    model, optimizers = make()
    take_steps(model, optimizers, 2)
    save(tmp_path / "at once", 2, model, optimizers)
    save_file(
        {name: tensor.clone() for name, tensor in model.state_dict().items()}, tmp_path / "theirs", {"format": "pt"}
    )
    files = {name: copied(tensors) for name, tensors in checkpoint_tensors(model, optimizers).items()}
    take_steps(model, optimizers, 3)
    state = lambda weights, optimizer: State(  # noqa: E731
        step=2, tokens_seen=0, config_digest="c", chain="0", seconds=0.0,
        weights_digest=weights, optimizer_digest=optimizer,
    )  # fmt: skip
    later = save_checkpoint(tmp_path / "later", 2, files, state)
    for name in (*FILES, "state.json"):
        assert (later / name).read_bytes() == (tmp_path / "at once" / "step-000002" / name).read_bytes()
    assert (later / FILES[0]).read_bytes() == (tmp_path / "theirs").read_bytes()


def test_of_what_others_write_there_is_no_copy() -> None:
    there = Held(torch.ones(3, dtype=torch.float32), Piece((6,), (slice(3, 6),), first=False))
    copy = copied(Spread({"a": there})).held["a"]
    assert copy.value.is_meta
    assert (copy.value.shape, copy.value.dtype, copy.piece) == ((3,), torch.float32, there.piece)


def test_what_another_has_written_over_is_noticed(tmp_path: Path) -> None:
    path, here = tmp_path / "file", Spread({"a": Held(torch.arange(6.0), Piece((6,), (slice(0, 6),)))})
    begin_file(path, here)
    write_pieces(path, here)
    check_pieces(path, here)
    path.write_bytes(path.read_bytes()[:-4] + bytes(4))
    with pytest.raises(OSError, match="a is not what was written"):
        check_pieces(path, here)


def test_an_error_is_said_once_and_the_next_work_is_done() -> None:
    work, done = Background(), []
    work.begin(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work.wait()
    work.look()
    work.begin(lambda: done.append(1))
    work.wait()
    assert done == [1]


def test_steps_are_taken_while_it_is_written(
    undisturbed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The initial weights are written only after the first step: one that waited for them would never be taken."""
    taken, call = threading.Event(), Step.__call__

    def counted(self: Step, step: int, batch: Any) -> tuple[float, float, float]:
        result = call(self, step, batch)
        taken.set()
        return result

    monkeypatch.setattr(Step, "__call__", counted)
    before_writing(monkeypatch, 0, lambda: taken.wait(60) or pytest.fail("no step was taken"))
    assert train_one(case(tmp_path)) == undisturbed[1]
    assert contents(tmp_path) == contents(undisturbed[0])
    assert (tmp_path / "chain.jsonl").read_bytes() == (undisturbed[0] / "chain.jsonl").read_bytes()


def test_what_is_being_written_when_a_signal_comes_is_complete(
    undisturbed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_writing(monkeypatch, 2, lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.5)))
    with pytest.raises(Stopped) as stopped:
        train_one(case(tmp_path))
    assert stopped.value.code == 128 + signal.SIGTERM
    steps = [path.name for path in list_checkpoints(tmp_path / "checkpoints")]
    assert "step-000002" in steps
    assert not list(tmp_path.rglob("*.tmp"))
    *said, state = find_newest(tmp_path / "checkpoints", job_for(case(tmp_path), Replicas()).model, "")
    assert said == []
    assert isinstance(state, State)
    assert f"step-{state.step:06d}" == steps[-1]
    assert train_one(case(tmp_path)) == undisturbed[1]


def test_an_error_in_the_thread_ends_the_training(
    undisturbed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        before_writing(patch, 2, full)
        with pytest.raises(OSError, match="No space left"):
            train_one(case(tmp_path))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000000"]
    assert train_one(case(tmp_path)) == undisturbed[1]
    assert contents(tmp_path) == contents(undisturbed[0])
