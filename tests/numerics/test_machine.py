"""What a run chooses by a look at the machine, and says."""

import os

import pytest
import torch

from train.numerics import look_at_machine, machine
from train.records import BadInput


@pytest.mark.parametrize(
    ("gpu", "able", "precision", "says"),
    [
        (False, True, "bfloat16", "bfloat16: the faster on this processor"),
        (False, False, "float32", "float32: bfloat16 is no faster on this processor"),
        (True, True, "bfloat16", "bfloat16: the GPU has bf16 instructions"),
        (True, False, "float32", "float32: the GPU has no bf16 instructions"),
    ],
)
def test_bfloat16_is_chosen_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, able: bool, precision: str, says: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu and able)
    monkeypatch.setattr(machine, "bfloat16_is_faster", lambda: not gpu and able)
    chosen = look_at_machine()
    assert (chosen.precision, chosen.device) == (precision, "cuda" if gpu else "cpu")
    assert says in chosen.why


@pytest.mark.parametrize(
    ("instructions", "seconds_in_bfloat16", "faster"),
    [(True, 0.5, True), (True, 1.9, False), (False, 0.5, False)],  # a Zen 4; a Xeon without AMX; emulation is not tried
)
def test_a_processor_is_tried(
    monkeypatch: pytest.MonkeyPatch, instructions: bool, seconds_in_bfloat16: float, faster: bool
) -> None:
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    seconds = {torch.float32: 1.0, torch.bfloat16: seconds_in_bfloat16}
    monkeypatch.setattr(machine, "_seconds_of_product", seconds.__getitem__)
    assert machine.bfloat16_is_faster.__wrapped__() == faster


@pytest.mark.parametrize("gpu", [False, True])
def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setenv("CXX", "no-such-compiler")
    chosen = look_at_machine()
    assert not chosen.compile
    assert "not compiled: there is no C++ compiler" in chosen.why
    with pytest.raises(BadInput, match="no C\\+\\+ compiler"):
        look_at_machine(compiling="blocks")


def test_the_processes_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert [look_at_machine(processes=count).threads for count in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert look_at_machine(threads=5, processes=2).threads == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert look_at_machine(processes=2).threads == 8
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert look_at_machine(processes=4).threads == 2  # each is bound to its own
