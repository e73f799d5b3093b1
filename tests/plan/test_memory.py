"""The memory that is foretold is what torch's allocator gives out; every axis saves its part."""

from pathlib import Path

import pytest
import torch

from benchmarks.memory import cases, config_of, measure, measure_all, needs_of
from tests.plan.test_plan import needs
from train.parallel import Replicas
from train.plan import memory_of
from train.plan.ledger import Ledger
from train.records import BadInput

SMALL = ["+experiment=smoke", "optim.sequences_per_step=4"]


def of(*words: str) -> int:
    return sum(memory_of(needs(*SMALL, *words)).values())


def test_a_ledger_knows_the_fullest_moment() -> None:
    with Ledger() as ledger:
        kept = torch.empty(1000)
        ledger.begin("work")
        twice = torch.empty(500, dtype=torch.float64).view(20, 25)
        del twice
        shorter = torch.empty(10)
        ledger.name("last", [shorter, shorter.view(2, 5)])
    assert ledger.peak() == {"elsewhere": 4 * len(kept), "work": 4000}


@pytest.mark.parametrize("family", ["gpt2", pytest.param("t5", marks=pytest.mark.slow)])
def test_it_is_what_a_real_step_takes(family: str, tmp_path: Path) -> None:
    case = {"family": family, "size": "long", "plan": "parallel.activation_checkpointing=selective"}
    said = sum(memory_of(needs_of(config_of(case))).values())
    assert said == pytest.approx(measure(case, Replicas(), tmp_path), rel=0.03)


@pytest.mark.slow
def test_it_is_what_a_real_step_takes_on_two_processes() -> None:
    asked = [case for count, case in cases("gpt2", "") if count == 2 and case["size"] == "long"]
    assert len(asked) == 3
    for case, measured in zip(asked, measure_all(2, asked), strict=True):
        assert sum(memory_of(needs_of(config_of(case))).values()) == pytest.approx(measured, rel=0.1), case


def test_every_plan_holds_less() -> None:
    whole = of("model=llama", "model.seq_len=256")
    for plan in ("shard=2", "tensor=2", "context=2", "activation_checkpointing=full", "sequences_per_device=1"):
        assert of("model=llama", "model.seq_len=256", f"parallel.{plan}") < whole, plan


def test_shards_of_the_weights_are_counted_once() -> None:
    alone, shared = (memory_of(needs(*SMALL, f"parallel.shard={count}")) for count in (1, 4))
    assert shared["weights"] == pytest.approx(alone["weights"] / 4, rel=0.05)
    assert shared["optimizer"] == pytest.approx(alone["optimizer"] / 4, rel=0.05)
    assert shared["gathered weights"] > 0


def test_gradients_stay_from_pass_to_pass() -> None:
    words = ("model.seq_len=128", "parallel.sequences_per_device=2")
    assert memory_of(needs(*SMALL, *words))["gradients"] >= memory_of(needs(*SMALL, *words))["weights"] * 0.9


def test_exact_numerics_hold_doubles() -> None:
    found = memory_of(needs("+experiment=exact"))
    assert found["weights"] == pytest.approx(8 * 1.06e6, rel=0.1)
    assert 4 * 1.06e6 < found["optimizer"] < 8 * 1.06e6


def test_an_axis_that_does_not_apply_says_why() -> None:
    with pytest.raises(BadInput, match="cannot be cut along the text"):
        memory_of(needs("+experiment=tiny", "model=bert", "parallel.context=2"))
