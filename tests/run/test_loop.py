"""The loop: the golden run, compiled as well as eager, checkpointed activations, and losses that are not finite."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, small_run, write_school
from train.config import compose
from train.recipe import run_recipe
from train.records import BadInput, write_json
from train.run import list_checkpoints, lock_folder, read_metrics

GOLDEN = Path(__file__).parent / "golden.json"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_school(tmp_path_factory.mktemp("school"))


def losses(school: Path, folder: Path, *more: str) -> list[float]:
    words = small_run(school, folder, "run.log_every=1", "optim.steps=20", "run.precision=float32", *more)
    if "run.compile=blocks" in more:  # the shapes that tests enforce cannot be compiled: a process without them
        subprocess.run([sys.executable, "-m", "train", *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    else:
        run_recipe(compose(words))
    return [row["loss"] for row in read_metrics(folder / "small" / "metrics.jsonl") if "loss" in row]


def test_the_golden_run(school: Path, tmp_path: Path) -> None:
    """20 steps whose losses stand in a file. A refactor gives the same; a change of numbers says so in CHANGELOG.

    Other processors round otherwise: 2e-3 is what a float32 run may part from another's over 20 steps.
    """
    found = losses(school, tmp_path)
    assert found == pytest.approx(json.loads(GOLDEN.read_text())["losses"], rel=2e-3)
    assert found[-1] < found[0] - 1


def test_twice_the_same(school: Path, tmp_path: Path) -> None:
    assert losses(school, tmp_path / "a") == losses(school, tmp_path / "b")


@pytest.mark.parametrize(
    "word", ["run.compile=blocks", "parallel.activation_checkpointing=full", "parallel.sequences_per_device=2"]
)
def test_what_is_done_from_outside_changes_no_result(school: Path, tmp_path: Path, word: str) -> None:
    plain = losses(school, tmp_path / "plain")
    assert losses(school, tmp_path / "other", word) == pytest.approx(plain, rel=2e-3)


def test_bfloat16_learns_the_same(school: Path, tmp_path: Path) -> None:
    plain = losses(school, tmp_path / "plain")
    low = losses(school, tmp_path / "low", "run.precision=bfloat16")
    assert low != plain
    assert low[-1] == pytest.approx(plain[-1], rel=0.03)


def test_blocks_multiply_in_the_precision_that_was_chosen(school: Path, tmp_path: Path, monkeypatch) -> None:
    from train.model.parts import Attention

    seen, real = set(), Attention.look

    def look(self, q, *others):
        if torch.is_grad_enabled() and q.device.type != "meta":  # samples are float32, FLOPs are counted on meta
            seen.add(q.dtype)
        return real(self, q, *others)

    monkeypatch.setattr(Attention, "look", look)
    monkeypatch.setattr("train.watching.evaluate_texts", lambda *_: pytest.skip("trained: that is what was asked"))
    with pytest.raises(pytest.skip.Exception):
        losses(school, tmp_path, "run.precision=bfloat16", "run.prompts=[]")
    assert seen == {torch.bfloat16}


def test_adamw_and_cosine(school: Path, tmp_path: Path) -> None:
    found = losses(school, tmp_path, "optim=adamw", "optim.adamw_lr=0.01", "optim.warmup_steps=2")
    assert found[-1] < found[0] - 1


@pytest.mark.parametrize(("step", "saved", "said"), [(7, 6, 1), (12, 10, 1), (15, 12, 12)])  # 12: evaluated; 15: saved
def test_a_loss_that_is_not_finite_stops_the_run(
    school: Path, tmp_path: Path, monkeypatch, step: int, saved: int, said: int
) -> None:
    import train.loss as loss

    real, calls = loss.linear_cross_entropy, []

    def broken(*args, **options):
        calls.append(torch.is_grad_enabled())
        return real(*args, **options) * (float("nan") if calls.count(True) == step else 1.0)

    monkeypatch.setattr(loss, "linear_cross_entropy", broken)
    words = small_run(school, tmp_path, "run.log_every=24")
    write_json(tmp_path / "small" / "forecast.json", {"training_seconds": 1.0})  # no steps are taken before the first
    with pytest.raises(BadInput, match=rf"nan at step {step} \(sequences \[\d+"):
        run_recipe(compose(words))
    monkeypatch.undo()
    (*_, newest) = list_checkpoints(tmp_path / "small" / "checkpoints")
    assert newest.name == f"step-{saved:06d}"
    assert read_metrics(tmp_path / "small" / "metrics.jsonl")[-1]["step"] == said
    assert run_recipe(compose(words))["weights"]["parameters"] > 0


def test_two_runs_in_one_folder(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path)
    with lock_folder(tmp_path / "small"), pytest.raises(BadInput, match="another run"):
        run_recipe(compose(words))


def test_a_folder_of_another_config_is_not_overwritten(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path, "optim.steps=12")
    run_recipe(compose(words))
    before = {p: p.read_bytes() for p in (tmp_path / "small").rglob("*") if p.is_file()}
    with pytest.raises(BadInput, match=r"optim\.lr"):
        run_recipe(compose([*words, "optim.lr=0.5"]))
    assert {p: p.read_bytes() for p in (tmp_path / "small").rglob("*") if p.is_file()} == before
    (school / "new.txt").write_text("Something new. " * 40)
    try:
        with pytest.raises(BadInput, match="made from other"):
            run_recipe(compose(words))
    finally:
        (school / "new.txt").unlink()


def test_a_folder_in_which_nothing_was_trained_may_change_its_mind(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path)
    with pytest.raises(BadInput, match="too small for tokenizer"):
        run_recipe(compose([*words, "tokenizer.vocab_size=9000"]))
    assert run_recipe(compose(words))["ingredients"]["tokenizer"]["vocab_size"] == 300


def test_tied_embeddings_run_from_documents_to_release(school: Path, tmp_path: Path) -> None:
    record = run_recipe(compose(small_run(school, tmp_path, "model.tie_embeddings=true", "optim.steps=12")))
    untied = run_recipe(compose(small_run(school, tmp_path / "untied", "optim.steps=12")))
    assert untied["weights"]["parameters"] - record["weights"]["parameters"] == 300 * 32


def test_what_somebody_deleted_is_made_again(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path, "optim.steps=12")
    first, run = run_recipe(compose(words)), tmp_path / "small"
    shutil.rmtree(run / "release")
    (run / "tokens" / "train-00000.bin").write_bytes(b"")
    shutil.rmtree(run / "tokens")
    again = run_recipe(compose(words))
    assert (run / "release" / "release.json").is_file()
    assert again["ingredients"] == first["ingredients"]
    assert again["weights"] == first["weights"]


def test_a_damaged_last_checkpoint_is_trained_again(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path, "optim.steps=12")
    first, run = run_recipe(compose(words)), tmp_path / "small"
    shutil.rmtree(run / "release")
    weights = run / "checkpoints" / "step-000012" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"damaged!")
    with pytest.raises(BadInput, match="same command again"):
        run_recipe(compose(words))
    assert run_recipe(compose(words))["weights"] == first["weights"]


def test_what_the_cards_say_may_change_without_training_again(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path, "optim.steps=12")
    first = run_recipe(compose(words))
    said = tmp_path / "small" / "release" / "attest" / "rebuilds" / "R3-0.json"
    said.parent.mkdir()
    said.write_text("hours of somebody's work")
    second = run_recipe(compose([*words, "release.publisher=A school"]))
    assert said.read_text() == "hours of somebody's work"
    assert second["publisher"] == "A school"
    assert second["weights"] == first["weights"]
    assert "A school" in (tmp_path / "small" / "release" / "README.md").read_text("utf-8")


def test_wandb_gets_the_same_numbers_offline(school: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run_recipe(compose(small_run(school, tmp_path, "logger=wandb", "optim.steps=12")))
    kept = list((tmp_path / "small" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(kept) == 1
    assert kept[0].stat().st_size > 1000


def test_threads_are_the_runs(school: Path, tmp_path: Path) -> None:
    losses(school, tmp_path, "run.threads=1")
    assert torch.get_num_threads() == 1
    assert json.loads((tmp_path / "small" / "machine.json").read_text())["threads"] == 1
