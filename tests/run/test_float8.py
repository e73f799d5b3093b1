"""A run in float8, from documents to release, by torchao's emulation; and where it is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import small_run, write_school
from train.__main__ import main
from train.config import compose
from train.numerics import check_float8, machine
from train.recipe import run_recipe
from train.records import BadInput, Json
from train.run import read_metrics, read_tensors


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in float8, as if it could be had here, and one in bfloat16."""
    folder = tmp_path_factory.mktemp("runs")
    write_school(folder / "school")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "check_float8", lambda: None)
        for precision in ("float8", "bfloat16"):
            run(folder, precision)
    return folder


def run(folder: Path, precision: str) -> Json:
    words = small_run(folder / "school", folder / precision, "run.log_every=1", f"run.precision={precision}")
    return run_recipe(compose(words))


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(folder / "small" / "metrics.jsonl") if "loss" in row]


def test_it_learns_what_bfloat16_learns(runs: Path) -> None:
    """Within 3 %, and by other numbers: float8 keeps three bits where bfloat16 keeps seven."""
    low, plain = losses(runs / "float8"), losses(runs / "bfloat16")
    assert low[1:] != plain[1:]
    assert low == pytest.approx(plain, rel=0.03)
    assert low[-1] < low[0] - 1


def test_the_release_has_the_form_of_any_other(runs: Path) -> None:
    low, plain = (runs / precision / "small" / "release" for precision in ("float8", "bfloat16"))
    ours, theirs = (read_tensors(folder / "model.safetensors") for folder in (low, plain))
    assert {name: (t.shape, t.dtype) for name, t in ours.items()} == {n: (t.shape, t.dtype) for n, t in theirs.items()}
    assert json.loads((low / "release.json").read_text())["numerics"]["precision"] == "float8"


def test_a_run_goes_on_from_its_checkpoint_to_the_same_weights(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "check_float8", lambda: None)
    small = runs / "float8" / "small"
    before = json.loads((small / "release" / "release.json").read_text())["weights"]
    shutil.rmtree(small / "release")
    last = small / "checkpoints" / "step-000024" / "model.safetensors"
    last.write_bytes(last.read_bytes()[:-8] + b"damaged!")
    with pytest.raises(BadInput, match="same command again"):
        run(runs, "float8")
    assert run(runs, "float8")["weights"] == before


def test_where_it_cannot_be_had_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = small_run(write_school(tmp_path / "school"), tmp_path, "run.precision=float8")
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "needs a GPU of compute capability 8.9 or more" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("capability", "package", "says"),
    [
        ((8, 6), "torchao", "compute capability"),
        ((8, 9), "", "float8]"),
        ((9, 0), "", "float8]"),
        ((9, 0), "torchao", ""),
    ],
)
def test_what_it_needs(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], package: str, says: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(machine, "find_spec", lambda name: name if name == package else None)
    if not says:
        check_float8()
        return
    with pytest.raises(BadInput, match=says):
        check_float8()
