"""Checkpoints are complete or absent; a damaged one is passed over; nothing is unpickled."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from train.numerics import digest_tensors, save_tensors
from train.records import BadInput
from train.run.checkpoint import (
    State,
    checkpoint_of,
    checkpoint_tensors,
    find_newest,
    list_checkpoints,
    load_checkpoint,
    optimizer_tensors,
    read_tensors,
    save_checkpoint,
)


def make() -> tuple[torch.nn.Module, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    return model, {"adamw": torch.optim.AdamW(model.parameters(), 0.01)}


def take_steps(model, optimizers, count: int) -> None:
    for _ in range(count):
        model(torch.ones(2, 4)).square().sum().backward()
        optimizers["adamw"].step()
        optimizers["adamw"].zero_grad()


def save(folder: Path, step: int, model, optimizers, config: str = "c") -> Path:
    def state(weights: str, optimizer: str) -> State:
        return State(
            step=step, tokens_seen=0, config_digest=config, chain="0", seconds=0.0,
            weights_digest=weights, optimizer_digest=optimizer,
        )  # fmt: skip

    return save_checkpoint(folder, step, checkpoint_tensors(model, optimizers), state)


def load(folder: Path, config: str = "c"):
    model, optimizers = make()
    *said, last = list(find_newest(folder, model, config)) or [None]
    if isinstance(last, State):
        load_checkpoint(checkpoint_of(folder, last.step), model, optimizers)
    return model, optimizers, said, last


def test_what_comes_back_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    model, optimizers = make()
    take_steps(model, optimizers, 3)
    save(tmp_path, 3, model, optimizers)
    take_steps(model, optimizers, 4)
    again, their_optimizers, said, state = load(tmp_path)
    assert state.step == 3
    assert said == []
    assert state.weights_digest == digest_tensors(again.state_dict())
    take_steps(again, their_optimizers, 4)
    assert digest_tensors(again.state_dict()) == digest_tensors(model.state_dict())
    assert digest_tensors(optimizer_tensors(again, their_optimizers)) == digest_tensors(
        optimizer_tensors(model, optimizers)
    )


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "huge header"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, name: str, damage: str) -> None:
    model, optimizers = make()
    for step in (1, 2):
        take_steps(model, optimizers, 1)
        save(tmp_path, step, model, optimizers)
    path = tmp_path / "step-000002" / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[-3] ^= 0xFF
        path.write_bytes(data)
    else:
        path.write_bytes(b"\xff" * 7 + b"\x7f" + data[8:])
    _, _, said, state = load(tmp_path)
    assert state.step == 1
    assert len(said) == 1
    assert "step-000002" in said[0]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("adamw/0.weight/exp_avg", torch.zeros(())),  # torch would write behind its end
        ("adamw/0.weight/exp_avg_sq", torch.zeros(3, 4, dtype=torch.float64)),
        ("adamw/0.weight/step", torch.ones(3, 4)),
        ("adamw/0.weight/more", torch.zeros(3, 4)),
        ("adamw/2.weight/exp_avg", torch.zeros(3, 4)),
        ("exp_avg", torch.zeros(3, 4)),
        ("adamw/0.weight/exp_avg", None),
    ],
)
def test_a_state_that_no_optimizer_would_keep_is_refused(tmp_path: Path, entry: str, value: torch.Tensor) -> None:
    """Digests hold: whoever made the file made them too."""
    model, optimizers = make()
    take_steps(model, optimizers, 1)
    checkpoint = save(tmp_path, 1, model, optimizers)
    tensors = read_tensors(checkpoint / "optimizer.safetensors")
    tensors |= {entry: value} if value is not None else {}
    save_tensors({name: tensor for name, tensor in tensors.items() if value is not None or name != entry},
                 checkpoint / "optimizer.safetensors")  # fmt: skip
    with pytest.raises(BadInput):
        load_checkpoint(checkpoint, *make())


def test_another_config_is_refused(tmp_path: Path) -> None:
    model, optimizers = make()
    save(tmp_path, 1, model, optimizers)
    with pytest.raises(BadInput, match="another config"):
        load(tmp_path, "d")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A real limit on what a file may hold, in a process of its own."""
    script = f"""
import resource, signal, sys
from pathlib import Path
import torch
from tests.run.test_checkpoint import make, save
folder = Path({str(tmp_path)!r})
model, optimizers = make()
save(folder, 1, model, optimizers)
model.big = torch.nn.Linear(1000, 1000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save(folder, 2, model, optimizers)
except OSError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "refused:" in done.stdout, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
    assert load(tmp_path)[3].step == 1
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-000001"]
