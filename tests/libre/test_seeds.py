"""Bounds from several seeds are published beforehand; a rebuild that is not identical is judged by them."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import small_run, write_school
from train.__main__ import main
from train.evaluate import prediction_bounds
from train.libre import audit, rebuild
from train.libre.audit import Status
from train.records import digest_json, read_json, write_json

OTHER = {"float32": "bfloat16", "bfloat16": "float32"}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    assert main(small_run(write_school(folder / "school"), folder / "runs", "optim.steps=8", "release.seeds=3")) == 0
    return folder / "runs" / "small"


def test_the_bounds_of_small_samples() -> None:
    """Against the table of two-sided 95 % prediction factors t sqrt(1 + 1/n): 4.968 for n = 3, 2.372 for n = 10."""
    found = prediction_bounds([1.0, 2.0, 3.0])
    assert (found["high"] - 2.0, 2.0 - found["low"]) == pytest.approx((4.968, 4.968), abs=2e-3)
    ten = prediction_bounds([float(n) for n in range(10)])
    assert ten["high"] - 4.5 == pytest.approx(2.372 * 3.02765, abs=5e-3)


def test_three_seeds_are_published(seeded: Path) -> None:
    record = read_json(seeded / "release" / "release.json")
    bounds = record["results"]["seeds"]
    assert len(set(bounds["scores"])) == 3
    assert bounds["scores"][0] == record["results"]["bits_per_byte"]["total"]
    assert bounds["low"] < min(bounds["scores"]) < max(bounds["scores"]) < bounds["high"]
    assert "Trained 3 times with other seeds" in (seeded / "release" / "README.md").read_text()
    assert audit(seeded / "release").failed == []


def test_a_rebuild_that_parts_is_judged(seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another arithmetic, as on another machine: other bits, the same quality."""
    copy = Path(shutil.copytree(seeded / "release", tmp_path / "copy"))
    module = sys.modules["train.libre.rebuild"]  # the name in its package is the function's
    plain = module.Choices
    monkeypatch.setattr(
        module, "Choices", lambda **values: plain(**{**values, "precision": OTHER[values["precision"]]})
    )
    found = rebuild(copy, "R3", note=lambda _: None)
    assert (found.identical, found.level) == (False, "R≈")
    assert "within the bounds" in found.render()
    asked = audit(copy)
    assert asked.failed == []
    assert asked.level == "R≈"
    status = {finding.id: finding.status for finding in asked.findings}
    assert (status["RUN-02"], status["RUN-03"]) == (Status.not_yet, Status.near)
    assert asked.verdicts()["libre in practice"] == "not yet: RUN-02, RUN-03"


def test_a_score_outside_the_bounds_is_a_failure(seeded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(seeded / "release", tmp_path / "copy"))
    statement = Path(rebuild(copy, "R3", note=lambda _: None).statement)
    said = read_json(statement)
    said["predicate"]["runDetails"]["byproducts"][0]["annotations"] |= {
        "level": "R≈",
        "identical": False,
        "parted_at": 3,
        "score": 99.0,
    }
    statement.unlink()
    write_json(statement.with_name(f"R3-{digest_json(said)[:12]}.json"), said)
    assert {finding.id for finding in audit(copy).failed} == {"RUN-02", "RUN-03"}


@pytest.mark.parametrize("count", [0, 2, 11])
def test_two_seeds_say_nothing(school: Path, tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(small_run(school, tmp_path, f"release.seeds={count}")) == 2
    assert "release.seeds" in capsys.readouterr().err
