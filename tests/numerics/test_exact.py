"""Exact arithmetic: the same bits whatever the threads, the passes, the compiler, the processes and the processor."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.conftest import ROOT, small_run, write_school
from tests.numerics.steps import take_steps
from train.__main__ import main
from train.libre import audit, rebuild
from train.model import FAMILIES
from train.numerics import OnlySafe, Rounding, expected_flips
from train.optim.exact import power
from train.records import BadInput, read_json, read_rows


def digests(chain: list[dict[str, str]]) -> list[str]:
    return [link["weights"] for link in chain]


ADAMW = [pytest.param(family, "adamw", marks=[] if family == "llama" else pytest.mark.slow) for family in FAMILIES]


@pytest.mark.parametrize(("family", "optimizer"), [*((family, "muon") for family in FAMILIES), *ADAMW])
def test_threads_and_passes_change_no_bit(family: str, optimizer: str, tmp_path: Path) -> None:
    """BERT and T5 with dropout, BERT, T5 and XLNet with random masks."""
    one = take_steps(str(tmp_path / "1"), family, optimizer, threads=1, at_once=4)
    assert [link["step"] for link in one] == [0, 1, 2, 3, 4]
    assert len(set(digests(one))) == 5
    assert digests(take_steps(str(tmp_path / "2"), family, optimizer, threads=2, at_once=1)) == digests(one)
    assert digests(take_steps(str(tmp_path / "3"), family, optimizer, threads=2, at_once=2)) == digests(one)


@pytest.mark.slow
def test_a_compiler_changes_no_bit(tmp_path: Path) -> None:
    one = take_steps(str(tmp_path / "1"))
    words = json.dumps({"folder": str(tmp_path / "2"), "compiling": True, "at_once": 2})
    run = [sys.executable, "-m", "tests.numerics.steps", words]  # apart: types are checked here, which is not compiled
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["weights"] == digests(one)[-1]


def test_float32_would_part(tmp_path: Path) -> None:
    """What the tests above would find."""
    one = take_steps(str(tmp_path / "1"), precision="float32")
    assert digests(take_steps(str(tmp_path / "2"), precision="float32", at_once=1))[-1] != digests(one)[-1]


def in_processes(count: int, folder: Path, **more: object) -> str:
    words = json.dumps({"folder": str(folder), **more})
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    tell = {**os.environ, "PYTHONFAULTHANDLER": "1", "TORCH_SHOW_CPP_STACKTRACES": "1"}  # where, if one is aborted
    command = [*run, "-m", "tests.numerics.steps", words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=tell)
    assert done.returncode == 0, done.stderr
    return str(json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))["weights"])


def test_two_processes_change_no_bit(tmp_path: Path) -> None:
    whole = digests(take_steps(str(tmp_path / "1")))
    assert in_processes(2, tmp_path / "2", at_once=1) == whole[-1]


@pytest.mark.slow
def test_another_number_of_processes_goes_on(tmp_path: Path) -> None:
    whole = digests(take_steps(str(tmp_path / "1")))
    assert in_processes(4, tmp_path / "4", until=2) == whole[2]
    shutil.copytree(tmp_path / "4", tmp_path / "on")
    assert in_processes(2, tmp_path / "4") == whole[-1]
    assert digests(take_steps(str(tmp_path / "on"))) == whole  # four processes, then one
    assert in_processes(4, tmp_path / "whole") == whole[-1]


@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["default", "avx2"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_fewer_instructions_change_no_bit(instructions: str, optimizer: str, tmp_path: Path) -> None:
    """torch and MKL are told to leave the newer instructions of this processor alone."""
    older = {
        "ATEN_CPU_CAPABILITY": instructions,
        "MKL_ENABLE_INSTRUCTIONS": {"default": "SSE4_2", "avx2": "AVX2"}[instructions],
    }
    words = json.dumps({"folder": str(tmp_path / "2"), "optimizer": optimizer})
    run = [sys.executable, "-m", "tests.numerics.steps", words]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **older})
    assert done.returncode == 0, done.stderr[-2000:]
    assert (
        json.loads(done.stdout.splitlines()[-1])["weights"]
        == digests(take_steps(str(tmp_path / "1"), optimizer=optimizer))[-1]
    )


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["Haswell", "Nehalem"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_another_processor_changes_no_bit(processor: str, optimizer: str, tmp_path: Path) -> None:
    """Emulated: the libraries choose the code that they have for it."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None or os.uname().machine != "x86_64":
        pytest.skip("needs Debian's qemu-user, on x86")
    words = json.dumps({"folder": str(tmp_path / "2"), "optimizer": optimizer, "steps": 4, "until": 3})
    run = [emulator, "-cpu", processor, sys.executable, "-m", "tests.numerics.steps", words]
    told = {**os.environ, "OPENBLAS_CORETYPE": processor}  # numpy's BLAS, which nothing here uses, can guess wrongly
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, env=told)
    assert done.returncode == 0, done.stderr[-2000:]
    here = take_steps(str(tmp_path / "1"), optimizer=optimizer, steps=4, until=3)
    assert json.loads(done.stdout.splitlines()[-1])["weights"] == here[-1]["weights"]


@pytest.fixture(scope="module")
def exact_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exact")
    words = small_run(write_school(folder / "school"), folder / "runs", "numerics=exact", "optim.steps=8")
    assert main(words) == 0
    return folder / "runs" / "small" / "release"


def test_a_resume_goes_on_from_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And does not begin again, which would give the same bits."""
    whole = digests(take_steps(str(tmp_path / "1")))
    assert digests(take_steps(str(tmp_path / "2"), until=2)) == whole[:3]
    capsys.readouterr()
    assert digests(take_steps(str(tmp_path / "2"))) == whole
    said = capsys.readouterr().out
    assert "going on from step 2" in said
    assert "damaged" not in said


def test_a_release_in_exact_arithmetic(exact_release: Path, tmp_path: Path) -> None:
    record = read_json(exact_release / "release.json")
    assert (record["numerics"]["name"], record["numerics"]["precision"]) == ("exact", "float64")
    assert 0 < record["cost"]["forecast"]["flips_per_step"] < 1e-3
    assert [row["step"] for row in read_rows(exact_release / "training" / "chain.jsonl")] == list(range(9))
    assert audit(exact_release).failed == []
    copy = Path(shutil.copytree(exact_release, tmp_path / "copy"))
    assert rebuild(copy, "R3", note=lambda _: None).identical
    assert rebuild(copy, "R2", note=lambda _: None).identical
    assert audit(copy).level == "R3"


def test_the_very_step_at_which_a_chain_parts_is_named(exact_release: Path, tmp_path: Path) -> None:
    from tests.libre.test_rebuild import forge

    copy = Path(shutil.copytree(exact_release, tmp_path / "copy"))
    lines = list(read_rows(copy / "training" / "chain.jsonl"))
    forge(copy, lines, {5: "0" * 64})
    assert rebuild(copy, "R3", note=lambda _: None).parted_at == 5


def test_rounding_is_to_bfloat16_once_and_noise_becomes_zero() -> None:
    rounding = Rounding()
    exact = torch.tensor(
        [1.0, 1 + 2**-9, 1 + 2**-7 + 2**-20, -3.14159, 2.0**-41, -(2.0**-50), 0.0], dtype=torch.float64
    )
    assert rounding(1, "w", exact).tolist() == [1.0, 1.0, 1.0078125, -3.140625, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="rounds float64"):
        rounding(1, "w", exact.float())


def test_a_decision_close_to_a_tie_is_written_down_and_taken_again() -> None:
    tie = 1 + 2.0**-8  # half way between 1 and the next number of bfloat16
    ours, theirs = Rounding(), torch.tensor([0.5, tie - 1e-13, 3.0], dtype=torch.float64)
    assert ours(7, "w", theirs)[1] == 1.0
    assert ours.rows == [{"step": 7, "tensor": "w", "index": 1, "value": 1.0}]
    other = torch.tensor([0.5, tie + 1e-13, 3.0], dtype=torch.float64)
    assert Rounding()(7, "w", other)[1] == 1 + 2.0**-7  # alone it would part
    again = Rounding(ours.rows)
    assert again(7, "w", other)[1] == 1.0
    assert again.rows == ours.rows
    assert again(8, "w", other)[1] == 1 + 2.0**-7  # of another step nothing was said
    forged = Rounding([{"step": 7, "tensor": "w", "index": 1, "value": 9.0}])
    assert forged(7, "w", other)[1] == 1 + 2.0**-7  # a value that is no neighbour is not taken


def test_a_rounding_log_heals_a_run_that_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is added to every gradient, much more than machines have, until the bits part; the log brings them back."""
    import train.numerics.rounding as rounding

    monkeypatch.setattr(rounding, "_CLOSE", 2.0**-20)
    ours = take_steps(str(tmp_path / "1"), steps=6)
    log = list(read_rows(tmp_path / "1" / "roundings.jsonl"))
    plain = Rounding.__call__

    def noisy(self: Rounding, step: int, name: str, exact: torch.Tensor) -> torch.Tensor:
        signs = torch.arange(exact.numel(), dtype=torch.float64).view(exact.shape) % 2 * 2 - 1
        return plain(self, step, name, exact * (1 + signs * 2.0**-22))

    monkeypatch.setattr(Rounding, "__call__", noisy)
    parted = take_steps(str(tmp_path / "2"), steps=6)
    assert digests(parted) != digests(ours)
    healed = take_steps(str(tmp_path / "3"), steps=6, decided=log)
    assert digests(healed) == digests(ours)


def test_flips_are_noise_beside_the_space_between_numbers() -> None:
    one = torch.tensor([1.5, 1.5, 2.0**-60], dtype=torch.float64)
    noise = torch.tensor([1e-10, 0.0, 2.0**-61], dtype=torch.float64)
    assert expected_flips(one, one + noise) == pytest.approx(1e-10 / 2**-7, rel=1e-5)


@pytest.mark.parametrize(
    ("act", "compiled", "says"),
    [
        (lambda x: x.float().sqrt(), False, "sqrt in float32"),
        (lambda x: x.float().exp(), False, "exp in float32"),
        (lambda x: x.float().sum(), False, "sum in float32"),
        (lambda x: torch.addcmul(x.float(), x.float(), x.float()), False, "addcmul"),
        (lambda x: torch.lerp(x.float(), x.float(), 0.5), False, "lerp"),
        (lambda x: torch.add(x.float(), x.float(), alpha=2), False, "add in float32"),
        (lambda x: x.bfloat16() @ x.bfloat16(), False, "mm in bfloat16"),
        (lambda x: x.float() * x.float(), True, "mul in float32"),
        (torch.rand_like, True, "rand_like"),
        (lambda x: torch.randint(3, (2,)), True, "randint in integers"),
        (lambda x: nn.functional.dropout(x, 0.5), True, "bernoulli_"),
        (torch.erfinv, True, "erfinv in float64"),
    ],
)
def test_what_is_not_known_to_be_safe_is_an_error(act: object, compiled: bool, says: str) -> None:
    x = torch.ones(2, 2, dtype=torch.float64)
    with OnlySafe(compiled=compiled):
        assert (x @ x + x.exp()).shape == (2, 2)
    with pytest.raises(BadInput, match=says), OnlySafe(compiled=compiled):
        act(x)  # type: ignore[operator]


def test_an_unsafe_model_does_not_begin(school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import train.model.attend as attend

    monkeypatch.setattr(attend, "widen", lambda x: x.float())
    words = small_run(school, tmp_path, "numerics=exact", "model=t5", "model.dropout=0.1", "model.seq_len=32")
    assert main([word for word in words if "d_head" not in word] + ["model.d_head=16"]) == 2


@pytest.mark.parametrize(("word", "says"), [("run.precision=bfloat16", "float64"), ("optim.schedule=cosine", "cosine")])
def test_settings_that_are_not_exact(
    school: Path, tmp_path: Path, word: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(small_run(school, tmp_path, "numerics=exact", word)) == 2
    assert says in capsys.readouterr().err


def test_powers_by_multiplication() -> None:
    for exponent in (0, 1, 2, 7, 1000):
        assert power(0.95, exponent) == pytest.approx(0.95**exponent, rel=1e-13)
