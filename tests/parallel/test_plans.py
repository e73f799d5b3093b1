"""Which plan is chosen, and what is refused, with the reason."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.conftest import ROOT
from train.config import compose
from train.model import FAMILIES, build_model
from train.numerics import Piece
from train.parallel import AXES, ParallelConfig, Plan, check_axes, choose_plan, micro_steps
from train.records import BadInput
from train.training import plan_of


def plan(count: int, parameters: float = 1e6, memory: float = 80e9, sequences: int = 64, **said: int) -> Plan:
    return choose_plan(
        ParallelConfig(**said), count, parameters=int(parameters), memory=memory, sequences_per_step=sequences
    )


def used(found: Plan) -> dict[str, int]:
    return {axis: size for axis, size in found.sizes.items() if size > 1}


def test_one_process_is_an_empty_plan() -> None:
    assert used(plan(1)) == {}
    assert str(plan(1)) == "one device (there is one process)"


def test_what_fits_is_replicated_and_what_does_not_is_sharded() -> None:
    assert used(plan(8)) == {"replicate": 8}
    assert used(plan(8, parameters=7e9)) == {"replicate": 2, "shard": 4}  # 112 GB: 28 of 80 each
    assert "28.0 GB of weights and optimizer for a device of 80 GB: which fits" in str(plan(8, parameters=7e9))
    assert used(plan(4, parameters=70e9)) == {"shard": 4}
    assert "too much, and cannot be less" in str(plan(4, parameters=70e9))


def test_too_few_sequences_are_worked_on_together() -> None:
    assert used(plan(8, sequences=2)) == {"replicate": 2, "tensor": 4}
    assert "2 sequences a step are not enough for 8 processes" in str(plan(8, sequences=2))


def test_what_is_said_is_taken() -> None:
    assert used(plan(8, shard=4)) == {"replicate": 2, "shard": 4}
    assert used(plan(8, shard=2, tensor=2, context=2)) == {"shard": 2, "tensor": 2, "context": 2}
    assert used(plan(8, replicate=1, tensor=1)) == {"shard": 8}
    for count, said in ((8, {"shard": 3}), (4, {"shard": 8}), (8, dict.fromkeys(AXES, 1))):
        with pytest.raises(BadInput, match=f"there are {count} processes"):
            plan(count, **said)
    with pytest.raises(BadInput, match="must be a multiple of the 8 processes"):
        plan(8, sequences=4, shard=8)
    with pytest.raises(BadInput, match="does not divide the 12 sequences that one process has"):
        plan(2, sequences=24, sequences_per_device=5)
    for name in ("shard", "sequences_per_device"):
        with pytest.raises(BadInput, match=rf"parallel\.{name}=-1"):
            ParallelConfig(**{name: -1})


def test_passes_are_alike_and_small_where_nothing_is_said() -> None:
    passes = {1: 1, 8: 1, 12: 2, 13: 13, 16: 2, 512: 64}
    assert {count: micro_steps(count, 0) for count in passes} == passes
    assert micro_steps(16, 16) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_axes_that_do_not_apply_say_why(family: str) -> None:
    with torch.device("meta"):
        model = build_model(compose(["+experiment=smoke", f"model={family}"]).model)
    sizes = dict.fromkeys(AXES, 1)
    check_axes(model, Plan({**sizes, "tensor": 2}, ""))
    with pytest.raises(BadInput, match=r"parallel\.tensor=3: .* cannot be shared out evenly"):
        check_axes(model, Plan({**sizes, "tensor": 3}, ""))
    if family in {"bert", "t5", "xlnet"}:
        with pytest.raises(BadInput, match=f"a {family} cannot be cut along the text: "):
            check_axes(model, Plan({**sizes, "context": 2}, ""))
    else:
        check_axes(model, Plan({**sizes, "context": 2}, ""))


@pytest.mark.parametrize(
    ("words", "count", "why"),
    [
        (["parallel.context=3", "optim.sequences_per_step=3"], 3, "cannot be shared out evenly"),
        (["parallel.context=4", "model.seq_len=252", "optim.halved_share=0.5"], 4, "126 tokens cannot be shared out"),
        (["parallel.tensor=2", "run.precision=float8"], 2, "does not go along"),
    ],
)
def test_what_cannot_be_shared_out_is_known_before_anything_is_done(words: list[str], count: int, why: str) -> None:
    replicas = SimpleNamespace(count=count, local_count=count)
    with pytest.raises(BadInput, match=why):
        plan_of(compose(["+experiment=tiny", *words]), replicas, "cpu")


def test_a_piece_is_made_without_the_whole() -> None:
    """Initial values of any block of a tensor are those that the whole has there."""
    from train.model.init import normal_values, summed_values

    whole = Piece((7, 9), (slice(0, 7), slice(0, 9)))
    block = replace(whole, spans=(slice(2, 5), slice(3, 8)))
    for values in (normal_values, summed_values):
        assert torch.equal(values(block, 5, "name"), values(whole, 5, "name")[2:5, 3:8])


@pytest.mark.parametrize("norms", ["plain", "wide"])
def test_equal_blocks_are_compiled_once(norms: str) -> None:
    command = [sys.executable, "-m", "tests.parallel.compiled", norms]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert found.stdout.split() == ["1", "1"]
