"""A training shared out along any axes is the training of one process: losses, gradients, norms, weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.parallel.cases import FAMILIES, initial_of, job_for, take, train_one
from tests.parallel.ranks import on_ranks
from train.parallel import Replicas
from train.records import read_json, write_json

DECODERS = [name for name in FAMILIES if name not in {"bert", "t5", "xlnet"}]
ROOM = {"float32": 1e-5, "float64": 1e-9}


def cases(folder: Path, pairs: Any, precision: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"family": family, "axes": axes, "precision": precision, "folder": str(folder / f"{number}"), **more}
        for number, (family, axes) in enumerate(pairs)
    ]


def assert_close(case: dict[str, Any], found: dict[str, Any], alone: Path) -> None:
    """Beside the largest gradient or weight: that of a key's bias is zero but for noise."""
    room, folder = ROOM[case["precision"]], alone / case["family"]
    if not (folder / "said.json").is_file():
        torch.set_num_threads(1)
        write_json(folder / "said.json", take({**case, "axes": {}, "folder": str(folder)}))
    said = read_json(folder / "said.json")
    assert found["losses"][0] == pytest.approx(said["losses"][0], rel=room)
    assert found["norms"][0] == pytest.approx(said["norms"][0], rel=room)
    for name in ["gradients"] + ["weights"] * (case["precision"] == "float64"):
        ours, theirs = (load_file(Path(where) / f"{name}.safetensors") for where in (case["folder"], folder))
        assert ours.keys() == theirs.keys()
        largest = max(float(tensor.abs().max()) for tensor in theirs.values())
        for key, tensor in theirs.items():
            torch.testing.assert_close(ours[key], tensor, rtol=0, atol=room * largest, msg=f"{case}: {name} of {key}")


def test_two_processes_along_each_axis(tmp_path: Path) -> None:
    """Dropout in GPT-2, one key head in a tied Llama, documents in BLOOM, two texts in T5; a first step of halves."""
    pairs = [
        ("gpt2", {"tensor": 2}), ("llama-one-key", {"tensor": 2}), ("bloom", {"context": 2}), ("t5", {"shard": 2}),
        ("xlnet", {"tensor": 2}), ("bert", {"replicate": 2}),
    ]  # fmt: skip
    causal = [("gpt2", {"replicate": 2}), ("llama", {"shard": 2}), ("bloom", {"context": 2})]
    asked = cases(tmp_path / "whole", pairs, "float64")
    halved = cases(tmp_path / "halved", causal, "float64", words=["optim.halved_share=0.25"])
    sequences = job_for({**halved[0], "axes": {}}, Replicas()).sequences
    assert [len(sequences.batch(np.arange(4), 0, step).targets) for step in (0, 1)] == [8, 4]
    both = asked + halved
    for case, found in zip(both, on_ranks(2, "tests.parallel.cases:take_all", both), strict=True):
        assert next(iter(case["axes"])) in found["plan"]
        assert_close(case, found, Path(case["folder"]).parent / "alone")


ALL_AXES: dict[int, list[tuple[dict[str, int], list[str]]]] = {
    2: [
        ({"replicate": 2}, list(FAMILIES)),
        ({"shard": 2}, list(FAMILIES)),
        ({"tensor": 2}, list(FAMILIES)),
        ({"context": 2}, DECODERS),
    ],
    4: [
        ({"shard": 2, "tensor": 2}, list(FAMILIES)),
        ({"replicate": 2, "shard": 2}, list(FAMILIES)),
        ({"shard": 4}, list(FAMILIES)),
        ({"tensor": 4}, list(FAMILIES)),  # two key heads of a Llama, copied
        ({"context": 2, "shard": 2}, DECODERS),
        ({"context": 2, "tensor": 2}, DECODERS),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("count", ALL_AXES)
def test_all_families_along_all_axes(count: int, precision: str, tmp_path: Path) -> None:
    pairs = [(family, axes) for axes, families in ALL_AXES[count] for family in families]
    asked = cases(tmp_path, pairs, precision)
    for case, found in zip(asked, on_ranks(count, "tests.parallel.cases:take_all", asked), strict=True):
        assert_close(case, found, tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_exact_numerics_change_no_bit(optimizer: str, tmp_path: Path) -> None:
    words = [f"optim={optimizer}", "optim.steps=3"]
    pairs = [
        ("llama", {"shard": 2}), ("gpt2", {"tensor": 2}), ("bloom", {"context": 2}), ("bert", {"shard": 2}),
        ("t5", {"tensor": 2}), ("xlnet", {"shard": 2}), ("falcon", {"replicate": 2}),
    ]  # fmt: skip
    asked = cases(tmp_path, pairs, "float64", words=words)
    for case, digest in zip(asked, on_ranks(2, "tests.parallel.cases:train_all", asked), strict=True):
        assert train_one({**case, "axes": {}, "folder": case["folder"] + "-alone"}) == digest, case


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True])
def test_initial_weights_are_the_same_to_the_bit(exact: bool, tmp_path: Path) -> None:
    pairs = [(family, axes) for family in FAMILIES for axes in ({"shard": 4}, {"shard": 2, "tensor": 2})]
    asked = cases(tmp_path, pairs, "float64" if exact else "float32")
    for case, digest in zip(asked, on_ranks(4, "tests.parallel.cases:initial", asked), strict=True):
        assert initial_of({**case, "axes": {}}) == digest, case


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float8"])
def test_low_precision_with_float32_masters(precision: str, tmp_path: Path) -> None:
    """The products are those of one device under autocast, nearly: norms read their weights in bfloat16."""
    asked = cases(tmp_path, [("llama", {"shard": 2}), ("gpt2", {"shard": 2})], precision)
    for case, found in zip(asked, on_ranks(2, "tests.parallel.cases:take_all", asked), strict=True):
        alone = take({**case, "axes": {}, "folder": case["folder"] + "-alone"})
        assert found["losses"][0] == pytest.approx(alone["losses"][0], rel=1e-3)
        weights = load_file(Path(case["folder"]) / "weights.safetensors")
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


@pytest.mark.slow
def test_no_process_ever_holds_the_whole_model(tmp_path: Path) -> None:
    """50 million parameters, 200 MB, over four processes: none grows by half of that while its part is made."""
    words = [
        "model.d_model=512", "model.n_heads=8", "model.d_head=64", "model.n_kv_heads=8", "model.d_ff=2048",
        "model.n_layers=12", "tokenizer.vocab_size=1000",
    ]  # fmt: skip
    case = {"axes": {"shard": 4}, "folder": str(tmp_path), "words": [*words, "parallel.sequences_per_device=1"]}
    whole, grown = on_ranks(4, "tests.parallel.cases:memory", case)
    assert whole > 190e6
    assert whole / 4 < grown < whole / 2
