"""A tuning shared out over processes is the tuning of one."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.parallel.ranks import on_ranks
from tests.tune.lessons import tuning, write_lessons
from tests.tune.several import tune
from train.config import compose
from train.libre import audit, rebuild
from train.parallel import Plan, Replicas
from train.recipe import run_recipe
from train.records import BadInput, read_json
from train.training import plan_of

WAYS = ["sft", "lora", "dora", "dpo"]
AXES: list[dict[str, int]] = [{"shard": 2}, {"replicate": 2}]


@pytest.fixture(scope="module")
def words(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Of a way, in a folder where its tokens are made."""

    @cache
    def made(way: str) -> list[str]:
        folder = tmp_path_factory.mktemp(way)
        lessons = write_lessons(folder / "lessons", preferences=way == "dpo")
        found = tuning(base, lessons, folder, way, "run.log_every=1", "run.evaluate_every=6")
        run_recipe(compose([*found, "optim.steps=2", "optim.warmup_steps=1"]))
        return found

    return made


def case(words: list[str], axes: dict[str, int], precision: str, folder: Path) -> dict[str, Any]:
    return {"words": words, "axes": axes, "precision": precision, "folder": str(folder)}


@pytest.mark.slow
def test_two_processes_lose_what_one_loses(words: Callable[[str], list[str]], tmp_path: Path) -> None:
    asked = [case(words(way), {"shard": 2}, "float32", tmp_path / way) for way in WAYS]
    for way, found in zip(WAYS, on_ranks(2, "tests.tune.several:tune_all", asked), strict=True):
        alone = tune(case(words(way), {}, "float32", tmp_path / f"{way}-alone"))
        ours, theirs = ([row for row in rows["rows"] if "loss" in row] for rows in (found, alone))
        assert len(ours) == len(theirs) == 12
        for name in ("loss", "gradient_norm"):
            assert ours[0][name] == pytest.approx(theirs[0][name], rel=1e-5)
        watched = [[row["bits_per_byte"] for row in rows["rows"] if "samples" in row] for rows in (found, alone)]
        assert watched[0] == pytest.approx(watched[1], rel=1e-3)
        assert len(watched[0]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("axes", AXES, ids=lambda axes: next(iter(axes)))
def test_exact_numerics_change_no_bit(words: Callable[[str], list[str]], tmp_path: Path, axes: dict[str, int]) -> None:
    exact = {way: [*words(way), "numerics=exact"] for way in WAYS}
    asked = [case(exact[way], axes, "float64", tmp_path / way) for way in WAYS]
    for way, found in zip(WAYS, on_ranks(2, "tests.tune.several:tune_all", asked), strict=True):
        alone = tune(case(exact[way], {}, "float64", tmp_path / f"{way}-alone"))
        assert found["digest"] == alone["digest"], way


@pytest.mark.parametrize("way", [pytest.param("sft", marks=pytest.mark.slow), "lora"])
def test_one_that_was_stopped_goes_on(
    words: Callable[[str], list[str]], tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And does not begin again: the checkpoints of adapters have no other tensors than theirs."""
    whole = tune(case(words(way), {}, "float32", tmp_path / "whole"))
    tune(case(words(way), {}, "float32", tmp_path / "stopped") | {"until": 6})
    capsys.readouterr()
    assert tune(case(words(way), {}, "float32", tmp_path / "stopped"))["digest"] == whole["digest"]
    assert "going on from step 6" in capsys.readouterr().out


def recipe(words: list[str]) -> int:
    """The front door; what it prints comes before the answer."""
    from train.__main__ import main

    return main(words)


@pytest.mark.slow
def test_a_release_of_adapters_tuned_by_two(base: Path, words: Callable[[str], list[str]], tmp_path: Path) -> None:
    more = ["numerics=exact", "parallel.shard=2", f"run.folder={tmp_path}", "run.prompts=[bel]"]
    assert on_ranks(2, "tests.tune.test_several:recipe", [*words("lora"), *more]) == 0
    folder = tmp_path / "small" / "release"
    assert read_json(folder / "release.json")["numerics"]["mesh"]["shard"] == 2
    assert audit(folder, bases=[base]).failed == []
    assert rebuild(folder, "R3", base=base, note=lambda _: None).identical


def test_other_axes_are_refused_in_a_line(words: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"replicate": 1, "context": 1, "shard": 1, "tensor": 2}
    monkeypatch.setattr("train.training.choose_plan", lambda *_, **__: Plan(sizes, "as asked"))
    with pytest.raises(BadInput, match=r"parallel.replicate and parallel.shard alone.*tensor 2"):
        plan_of(compose(words("lora")), Replicas(), "cpu")
