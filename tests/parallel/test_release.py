"""From documents to a release on two processes that share every tensor: audited, and made again by one process."""

from pathlib import Path

import pytest

from tests.conftest import small_run, write_school
from tests.parallel.ranks import on_ranks
from train.__main__ import main
from train.libre import audit, rebuild
from train.records import read_json


def recipe(words: list[str]) -> int:
    """The front door; what it prints comes before the answer."""
    return main(words)


@pytest.mark.slow
def test_a_release_of_a_sharded_training(tmp_path: Path) -> None:
    more = [
        "numerics=exact",
        "optim.steps=6",
        "parallel.shard=2",
        "parallel.sequences_per_device=2",
        "run.prompts=[bel]",
    ]
    words = small_run(write_school(tmp_path / "school"), tmp_path / "runs", *more)
    assert on_ranks(2, "tests.parallel.test_release:recipe", words) == 0
    folder = tmp_path / "runs" / "small" / "release"
    record = read_json(folder / "release.json")
    assert record["numerics"]["mesh"] == {"replicate": 1, "context": 1, "shard": 2, "tensor": 1}
    assert audit(folder).failed == []
    assert rebuild(folder, "R3", note=lambda _: None).identical
    assert audit(folder).level == "R3"
