"""Interrupted at any moment and started again, a run ends with the weights that an undisturbed one has."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT, small_run, write_school
from train.config import compose
from train.parallel import Replicas
from train.recipe import Run, run_recipe
from train.records import BadInput
from train.run import RunFolder


def halved_run(school: Path, runs: Path, *more: str) -> list[str]:
    """The small run, its first half in halves of sequences: it may be stopped on either side."""
    return small_run(school, runs, "optim.halved_share=0.5", *more)


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "train", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(words: list[str]) -> dict:
    process = start(words)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return outcome(words)


def outcome(words: list[str]) -> dict:
    runs = next(word.partition("=")[2] for word in words if word.startswith("run.folder="))
    release = Path(runs) / "small" / "release"
    record = json.loads((release / "release.json").read_text())
    chain = (release / "training" / "chain.jsonl").read_text()
    return {
        "weights": record["weights"], "chain": chain, "documents": record["ingredients"]["documents"],
        "tokens": record["ingredients"]["tokens"], "bits": record["results"]["bits_per_byte"]["total"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("undisturbed")
    school = write_school(folder / "school")
    words = halved_run(school, folder / "runs")
    return school, finish(words)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_first(undisturbed: tuple[Path, dict], tmp_path: Path, number: int) -> None:
    school, wanted = undisturbed
    words = halved_run(school, tmp_path, "run.checkpoint_every=1000", "run.log_every=1")
    process = start(words)
    metrics = tmp_path / "small" / "metrics.jsonl"
    wait_for(lambda: metrics.is_file() and len(metrics.read_text().splitlines()) > 2, process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out
    assert "saved; the same command goes on" in out
    assert finish(words) == wanted
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == sorted(set(steps)) == list(range(1, 25))


def wait_for(ready, process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.slow
def test_compiled_and_on_two_threads_as_tiny_is(tmp_path: Path) -> None:
    """Killed once after a checkpoint, compiled and with several threads."""
    school = write_school(tmp_path / "school")
    more = ("run.compile=blocks", "run.threads=2")
    wanted = finish(halved_run(school, tmp_path / "whole", *more))
    words = halved_run(school, tmp_path / "killed", *more)
    process = start(words)
    wait_for((tmp_path / "killed" / "small" / "checkpoints" / "step-000010").exists, process)
    process.kill()
    process.communicate()
    assert finish(words) == wanted


def test_a_signal_during_an_evaluation_saves_too(undisturbed: tuple[Path, dict], tmp_path: Path) -> None:
    school, wanted = undisturbed
    words = halved_run(school, tmp_path, "run.checkpoint_every=1000", "run.prompts=[a,b,c,d,e,f,g,h]")
    process = start(words)
    metrics = tmp_path / "small" / "metrics.jsonl"
    wait_for(lambda: metrics.is_file() and '"step": 10,' in metrics.read_text(), process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, out
    step = int(out.split("after step ")[1].split(",")[0])
    assert (tmp_path / "small" / "checkpoints" / f"step-{step:06d}").is_dir()
    assert finish(words) == wanted


@pytest.mark.slow
def test_killed_at_ten_random_moments(undisturbed: tuple[Path, dict], tmp_path: Path) -> None:
    """SIGKILL, wherever it hits: in the documents, the tokens, a checkpoint, the evaluation or the release."""
    school, wanted = undisturbed
    words = halved_run(school, tmp_path)
    chance = random.Random(os.environ.get("FUSEE_KILL_SEED", "2"))
    begun = time.monotonic()
    finish(halved_run(school, tmp_path / "timed"))
    whole = time.monotonic() - begun
    killed = starts = 0
    while killed < 10:
        starts += 1
        assert starts < 40, "nearly all came to their end first: were they timed on a slower machine?"
        process = start(words)
        time.sleep(chance.uniform(0.2, 0.9) * whole)
        if process.poll() is None:
            process.kill()
            killed += 1
        process.communicate()
        assert not (tmp_path / "small" / "release").exists() or outcome(words) == wanted
        if (tmp_path / "small" / "release").exists():
            __import__("shutil").rmtree(tmp_path / "small")
    assert finish(words) == wanted


@pytest.mark.slow
def test_a_kill_within_each_stage(undisturbed: tuple[Path, dict], tmp_path: Path) -> None:
    """Killed as soon as each stage has begun, one stage after another."""
    school, wanted = undisturbed
    words = halved_run(school, tmp_path)
    run = tmp_path / "small"
    moments = ["documents", "tokens", "checkpoints/step-000010", "done/training.json", ".release.tmp"]
    for moment in moments:
        process = start(words)
        wait_for((run / moment).exists, process)
        process.kill()
        process.communicate()
    assert finish(words) == wanted


def test_what_was_left_half_written_is_taken_away(tmp_path: Path) -> None:
    """A kill while a file of a release is written leaves one half-written thing within another."""
    (tmp_path / ".release.tmp").mkdir()
    for name in (".release.tmp/.config.json.7.tmp", ".config.yaml.7.tmp"):
        (tmp_path / name).write_text("{")
    RunFolder(tmp_path, {})
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_change_of_mind_before_the_training_keeps_what_does_not_follow_from_it(tmp_path: Path) -> None:
    def made(**changed: object) -> list[str]:
        stages: list[str] = []
        folder = RunFolder(tmp_path, {"data": 1, "tokenizer": 1, "model": 1, "optim": 1} | changed)

        def make(stage: str) -> dict[str, str]:
            (tmp_path / stage).mkdir(exist_ok=True)
            (tmp_path / stage / "last").touch()
            stages.append(stage)
            return {}

        for stage in ("documents", "tokens"):
            folder.stage(stage, {}, f"{stage}/last", partial(make, stage))
        return stages

    assert made() == ["documents", "tokens"]
    (tmp_path / "forecast.json").touch()
    assert made(optim=2) == []
    assert not (tmp_path / "forecast.json").exists()  # it was of another training
    assert made(optim=2, tokenizer=2) == ["tokens"]
    assert made(optim=2, tokenizer=2, data=2) == ["documents", "tokens"]
    assert made(tune=1) == made(tune=1, optim=2) == made() == ["documents", "tokens"]


def test_a_kill_while_old_checkpoints_are_deleted(undisturbed: tuple[Path, dict], tmp_path: Path) -> None:
    """The last step is saved, one that should have gone is still there, or half of it."""
    school, wanted = undisturbed
    words = halved_run(school, tmp_path)
    finish(words)
    run = tmp_path / "small"
    last = run / "checkpoints" / "step-000024"
    for step, files in ((23, ["model.safetensors", "optimizer.safetensors", "state.json"]), (22, ["state.json"])):
        (run / "checkpoints" / f"step-{step:06d}").mkdir()
        for name in files:
            shutil.copy(last / name, run / "checkpoints" / f"step-{step:06d}" / name)
    for stage in ("training", "evaluation", "release"):
        (run / "done" / f"{stage}.json").unlink()
    assert finish(words) == wanted
    published = {path.name for path in (run / "release" / "training" / "checkpoints").iterdir()}
    assert not {"step-000022", "step-000023"} & published


def test_exact_is_not_kept_where_it_is_no_longer_asked_for(school: Path, tmp_path: Path) -> None:
    for numerics in ("exact", "fast"):
        config = compose([*halved_run(school, tmp_path), f"numerics={numerics}"])
        assert Run(config, tmp_path / "small", Replicas()).machine.exact == (numerics == "exact")


def test_micro_batches_and_a_second_command(undisturbed: tuple[Path, dict], capsys, tmp_path: Path) -> None:
    """A finished run started again does nothing; another split of the step into passes gives the same loss."""
    school, _ = undisturbed
    words = [*halved_run(school, tmp_path), "run.precision=float32"]  # bfloat16 rounds each pass otherwise
    first = run_recipe(compose(words))
    capsys.readouterr()
    again = run_recipe(compose(words))
    assert first == again
    assert capsys.readouterr().out.count("done") == 5
    other = run_recipe(compose([*words, f"run.folder={tmp_path}/other", "parallel.sequences_per_device=1"]))
    a, b = (record["results"]["bits_per_byte"]["total"] for record in (first, other))
    assert a == pytest.approx(b, rel=1e-5)


def test_what_failed_has_its_cost_too(tmp_path: Path) -> None:
    def fails() -> dict[str, object]:
        time.sleep(0.2)
        raise BadInput("nothing")

    folder = RunFolder(tmp_path, {"data": 1})
    with pytest.raises(BadInput):
        folder.stage("documents", {}, "summary.json", fails)
    assert 0.2 <= folder.attempts()["seconds"]["documents"] < 5
    (tmp_path / "summary.json").write_text("{}")
    folder.stage("documents", {}, "summary.json", lambda: time.sleep(0.3) or {})
    assert folder.attempts()["seconds"]["documents"] >= 0.5
    folder.stage("training", {}, "summary.json", lambda: {"seconds": 100.0})
    assert folder.attempts()["seconds"]["training"] == 100.0
    (tmp_path / "done" / "documents.json").write_text("{}")
    with pytest.raises(BadInput, match="the same command does the stage documents again"):
        folder.stage("documents", {}, "summary.json", fails)
