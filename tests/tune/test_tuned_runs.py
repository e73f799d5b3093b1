"""Tuned in all ways: the release is audited, rebuilt, resumed and traced; a mistake is a line."""

import asyncio
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from tests.conftest import small_run, write_school
from tests.hugging_face.variants import make
from tests.run.test_resume import start, wait_for
from tests.tune.lessons import tuning
from train.__main__ import main
from train.config import compose, config_digest, public, resolved
from train.documents import read_documents
from train.hugging_face import to_hugging_face
from train.libre import audit, rebuild
from train.libre.audit.answer import ask
from train.libre.audit.finding import Status
from train.libre.audit.subject import Subject
from train.recipe import run_recipe
from train.records import BadInput, read_json
from train.run import read_tensors
from train.serve.auditor import Auditor

WAYS = ["sft", "lora", "dora", "dpo"]


def slow(way: str) -> Any:
    return pytest.param(way, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def tuned(base: Path, lessons: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A release of each way."""
    runs = {way: tmp_path_factory.mktemp(way) for way in WAYS}
    for way, folder in runs.items():
        run_recipe(compose(tuning(base, lessons[way], folder, way)))
    return {way: folder / "small" / "release" for way, folder in runs.items()}


@pytest.mark.parametrize("way", ["sft", "lora", "dpo"])
def test_the_config_is_on_its_base(base: Path, way: str) -> None:
    words = ["+experiment=tiny", f"tune={way}", f"tune.from={base}"]
    config, untuned = compose(words), compose(["+experiment=tiny"])
    assert config.run.name == f"tiny-{way}"
    assert (config.model.d_model, config.model.seq_len, config.tokenizer.kind.value) == (32, 128, "taken")
    assert config.tune.digest == read_json(base / "release.json")["digest"]
    assert config.optim.steps < untuned.optim.steps
    assert config.optim.sequences_per_step * 128 == untuned.optim.sequences_per_step * 256  # as many tokens a step
    assert config_digest(config) != config_digest(compose([*words, "tune.beta=0.2"]))
    assert "tune" not in public(resolved(untuned))  # what is not tuned has the digest that it always had


@pytest.mark.parametrize("way", WAYS)
def test_it_answers_better_than_its_base(tuned: dict[str, Path], way: str) -> None:
    results = read_json(tuned[way] / "release.json")["results"]
    assert results["bits_per_byte"]["total"] < results["base"]["total"] - 0.3
    if way == "dpo":
        assert results["bits_per_byte"]["prefers_the_better"] >= results["base"]["prefers_the_better"]
    card = (tuned[way] / "README.md").read_text("utf-8")
    assert "tuned from small on" in card
    assert "What it was tuned from" in card
    assert "trained from nothing" not in card


def test_a_plan_of_a_tuning_is_what_it_takes(
    tuned: dict[str, Path], base: Path, lessons: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", *tuning(base, lessons["sft"], tmp_path, "sft"), "--machine", "laptop"]
    assert main([*words, "--json", str(tmp_path / "plan.json")]) == 0
    took, found = read_json(tuned["sft"] / "release.json")["cost"]["outcome"], read_json(tmp_path / "plan.json")
    assert (found["flops"], found["tokens"]) == (took["flops"], took["tokens"])
    capsys.readouterr()
    assert main(["plan", *tuning(base, lessons["sft"], tmp_path, "lora")]) == 2
    assert "what tune=sft of a decoder takes, and no other" in capsys.readouterr().err


@pytest.mark.parametrize("way", WAYS)
def test_an_audit_accepts_it_with_its_base_at_hand(tuned: dict[str, Path], base: Path, way: str) -> None:
    found = audit(tuned[way], bases=[base])
    assert [(finding.id, finding.found) for finding in found.failed] == []
    assert found.level == "R1"
    said = {finding.id: finding.found for finding in found.findings}
    assert "its weights begin from those of small" in said["DEP-01"]
    assert "taken over from small" in said["TOK-01"]


def test_an_audit_looks_into_the_base_of_a_base(
    tuned: dict[str, Path], base: Path, lessons: dict[str, Path], tmp_path: Path
) -> None:
    run_recipe(compose(tuning(tuned["sft"], lessons["dpo"], tmp_path, "dpo")))
    release = tmp_path / "small" / "release"
    assert [(finding.id, finding.found) for finding in audit(release, bases=[tuned["sft"], base]).failed] == []
    (alone,) = audit(release, bases=[tuned["sft"]]).failed
    assert (alone.id, "TOK-01, WGT-02, DEP-01" in alone.found) == ("DEP-01", True), alone.found


def test_a_forged_preference_is_found(tuned: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tuned["dpo"], tmp_path / "copy"))
    for share in (0.123, float("nan"), -1, 10**400, "all", None):
        for path in (copy / "evaluation" / "results.json", copy / "release.json"):
            record = read_json(path)
            about = record["results"] if path.name == "release.json" else record
            about["bits_per_byte"]["prefers_the_better"] = share
            path.write_text(json.dumps(record))
        finding = ask("EVAL-01", Subject(copy, tmp_path / "work"))
        assert finding.status is Status.failed
        assert "prefers_the_better" in finding.found


@pytest.mark.slow
def test_the_page_s_audit_has_the_base(tuned: dict[str, Path], base: Path) -> None:
    auditor = Auditor(tuned["lora"], [base])
    asyncio.run(auditor.audit())
    assert (auditor.answer["state"], auditor.answer.get("failed")) == ("done", []), auditor.answer


def test_an_audit_without_the_base_says_what_it_needs(tuned: dict[str, Path]) -> None:
    found = audit(tuned["lora"])
    assert [finding.id for finding in found.failed] == ["TOK-01", "WGT-02", "DEP-01"]
    assert all("--base FOLDER" in finding.found for finding in found.failed)


@pytest.mark.parametrize("way", [slow("sft"), "lora", slow("dora"), slow("dpo")])
def test_it_is_rebuilt_bit_for_bit(tuned: dict[str, Path], base: Path, way: str) -> None:
    assert rebuild(tuned[way], "R3", base=base, note=lambda _: None).identical
    assert not rebuild(tuned[way], "R1", note=lambda _: None).identical


def test_a_forged_lineage_is_found(tuned: dict[str, Path], base: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tuned["sft"], tmp_path / "copy"))
    told = read_json(copy / "lineage" / "release.json")
    (copy / "lineage" / "release.json").write_text(json.dumps(told | {"publisher": "somebody else"}))
    assert "do not give the digest" in next(f.found for f in audit(copy, bases=[base]).findings if f.id == "DEP-01")


def test_adapters_of_another_are_found(tuned: dict[str, Path], base: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    copy = Path(shutil.copytree(tuned["lora"], tmp_path / "copy"))
    path = copy / "adapter" / "adapter_model.safetensors"
    save_file({name: tensor * 2 for name, tensor in read_tensors(path).items()}, path)
    assert "not the adapters" in next(f.found for f in audit(copy, bases=[base]).findings if f.id == "WGT-02")


@pytest.mark.parametrize("way", ["lora", "dora"])
def test_peft_puts_a_release_s_adapters_onto_its_base(tuned: dict[str, Path], base: Path, way: str) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    tokens = torch.arange(20).reshape(2, 10)
    merged, plain = (AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (tuned[way], base))
    with torch.no_grad():
        before = plain(tokens).logits
        after = PeftModel.from_pretrained(plain, tuned[way] / "adapter").eval()(tokens).logits
        assert (after - before).abs().max() > 0.01
        torch.testing.assert_close(after, merged(tokens).logits, rtol=1e-5, atol=1e-5)


def test_checkpoints_of_adapters_hold_nothing_else(tuned: dict[str, Path]) -> None:
    for way, more in (("lora", set()), ("dora", {"magnitude"})):
        names = read_tensors(tuned[way] / "training" / "checkpoints" / "step-000012" / "model.safetensors")
        assert {name.rpartition(".")[2] for name in names} == {"adapter_a", "adapter_b", *more}


@pytest.mark.parametrize("way", [slow("sft"), "lora", slow("dora"), slow("dpo")])
def test_killed_and_resumed_it_has_the_same_digest(
    tuned: dict[str, Path], base: Path, lessons: dict[str, Path], tmp_path: Path, way: str
) -> None:
    words = tuning(base, lessons[way], tmp_path, way, "run.evaluate_every=1000")
    process = start(words)
    wait_for((tmp_path / "small" / "checkpoints" / "step-000006").exists, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "small" / "release").exists()
    before = read_json(tuned[way] / "release.json")
    after = run_recipe(compose(words))
    assert after["weights"] == before["weights"]
    assert after["results"]["bits_per_byte"] == before["results"]["bits_per_byte"]
    assert (tmp_path / "small" / "chain.jsonl").read_text() == (tuned[way] / "training" / "chain.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_compiled_it_learns_the_same(base: Path, lessons: dict[str, Path], tmp_path: Path, way: str) -> None:
    scores = []
    for how in ("none", "blocks"):
        words = tuning(base, lessons[way], tmp_path / how, way, f"run.compile={how}", "run.precision=float32")
        process = start(words)
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
        scores.append(read_json(tmp_path / how / "small" / "release" / "release.json")["results"]["bits_per_byte"])
    assert scores[0]["total"] == pytest.approx(scores[1]["total"], rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_in_exact_arithmetic_a_micro_batch_changes_no_bit(
    base: Path, lessons: dict[str, Path], tmp_path: Path, way: str
) -> None:
    digests = []
    for at_once in (1, 4):
        words = tuning(base, lessons[way], tmp_path / str(at_once), way, "numerics=exact")
        record = run_recipe(compose([*words, f"parallel.sequences_per_device={at_once}"]))
        digests.append(record["weights"]["chain"])
    assert digests[0] == digests[1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["sft", "lora"])
def test_a_t5_answers_text_by_text(lessons: dict[str, Path], tmp_path: Path, way: str) -> None:
    more = ("model=t5", "tokenizer.vocab_size=500", "model.seq_len=96")
    words = [word for word in small_run(write_school(tmp_path / "school"), tmp_path, *more) if "model.d_" not in word]
    run_recipe(compose([*words, "model.d_model=32", "model.n_heads=2", "model.d_ff=48", "model.n_layers=2"]))
    base = tmp_path / "small" / "release"
    record = run_recipe(compose(tuning(base, lessons[way], tmp_path / "tuned", way)))
    assert record["results"]["bits_per_byte"]["total"] < record["results"]["base"]["total"]
    assert [(f.id, f.found) for f in audit(tmp_path / "tuned/small/release", bases=[base]).failed] == []
    assert main(["generate", str(tmp_path / "tuned/small/release"), "What comes after bel dan?"]) == 0


def test_it_is_asked_a_question(tuned: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(tuned["sft"]), "What comes after bel dan?", "--max-tokens", "12"]) == 0
    said = capsys.readouterr().out
    assert "User:" not in said
    assert "What comes after" not in said
    assert main(["generate", str(tuned["sft"]), "caf\udce9", "--max-tokens", "1"]) == 0  # half a character
    assert main(["generate", str(tuned["sft"]), "a <|endoftext|> b"]) == 2
    assert "special token" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["sft", "dpo"])
def test_an_answer_is_traced_to_the_example_that_gave_it(
    tuned: dict[str, Path], tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from train.documents import parse_example

    document = list(read_documents(tuned[way] / "data", "train"))[7]
    example = parse_example(document.text)
    assert not isinstance(example, str)
    words = ["trace", str(tuned[way]), f"{example.prompt[0].content}\nAssistant:\n{example.answer}", "--most", "1"]
    assert main([*words, "--cache", str(tmp_path), "--json", str(tmp_path / "found.json")]) == 0
    sources = read_json(tmp_path / "found.json")["passages"][0]["sources"]
    assert document.id in {source["id"] for source in sources}
    assert all(source["steps"] > 0 for source in sources)


@pytest.mark.slow
def test_it_is_remade_without_an_author(tuned: dict[str, Path], base: Path, tmp_path: Path) -> None:
    words = ["remake", str(tuned["sft"]), "--without", "author=Author 1", "--out", str(tmp_path / "out")]
    assert main(words) == 2  # the base is not at hand
    assert main([*words, f"tune.from={base}"]) == 0
    found = audit(tmp_path / "out" / "release", bases=[base])
    assert [(finding.id, finding.found) for finding in found.failed] == []
    assert len(read_json(tmp_path / "out" / "release" / "release.json")["lineage"]) == 2


def test_a_hugging_face_folder_is_tuned_and_said_to_be_one(
    base: Path, lessons: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, folder)
    record = run_recipe(compose(tuning(folder, lessons["sft"], tmp_path / "runs", "sft")))
    assert record["lineage"][0]["declared"].startswith("no release")
    failed = {finding.id: finding.found for finding in audit(tmp_path / "runs/small/release", bases=[folder]).failed}
    assert set(failed) == {"DEP-01"}
    assert "is no release: nobody says what that was made from" in failed["DEP-01"]


@pytest.mark.parametrize(
    ("lack", "says"),
    [
        ("tokenizer.json", "its tokenizer is missing"),
        ("config.json", "neither a release nor a Hugging Face folder"),
    ],
)
def test_a_base_that_lacks_something_is_a_line(base: Path, tmp_path: Path, lack: str, says: str) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "copy"))
    (folder / lack).unlink()
    with pytest.raises(BadInput, match=says):
        compose(["+experiment=tiny", "tune=sft", f"tune.from={folder}"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "mamba"}, "a model of type 'mamba'; known are"),
        ({"vocab_size": 200}, "its tokenizer has 300 tokens, its model 200"),
    ],
)
def test_a_base_that_does_not_fit_is_a_line(base: Path, tmp_path: Path, change: dict[str, object], says: str) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "copy"))
    (folder / "config.json").write_text(json.dumps(read_json(folder / "config.json") | change))
    with pytest.raises(BadInput, match=says):
        compose(["+experiment=tiny", "tune=sft", f"tune.from={folder}"])


@pytest.mark.parametrize(("family", "says"), [("bert", "fills masks in"), ("xlnet", "predicts in random orders")])
def test_a_family_that_gives_no_answers_is_a_line(tmp_path: Path, family: str, says: str) -> None:
    to_hugging_face(make(family), tmp_path)
    words = {"<unk>": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3, "word": 4}
    Tokenizer(WordLevel(words, unk_token="<unk>")).save(str(tmp_path / "tokenizer.json"))
    names = {"unk_token": "<unk>", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names))
    with pytest.raises(BadInput, match=says):
        compose(["+experiment=tiny", "tune=sft", f"tune.from={tmp_path}", "optim.sequences_per_step=16"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tune=sft"], "tune.from=FOLDER"),
        (["tune.from=x"], "say how to tune it"),
        (["tune=lora", "tune.from=nowhere"], "there is no such folder"),
        (["tune=sfft", "tune.from=x"], "did you mean sft"),
        (["tune=lora", "tune.from=x", "tune.rnak=2"], "did you mean rank"),
        (["tune=lora", "tune.from=x", "tune.rank=0"], "tune.rank must be at least 1"),
        (["tune=sft", "tune.from=x", "model=gpt2"], "has a model and a tokenizer already"),
        (["tune=sft", "tune.from=x", "model.n_layers=2"], "has a model and a tokenizer already"),
    ],
)
def test_a_mistake_is_a_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["+experiment=tiny", *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_examples_without_an_answer_or_too_long_are_left_out_by_name(
    base: Path, lessons: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(lessons["sft"], tmp_path / "more"))
    asked = {"role": "user", "content": "What comes after bel dan?"}
    about = {"licence": "CC0-1.0", "language": "en", "authors": ["A"]}
    rows = [
        {"id": "mute", "messages": [asked], **about},
        {"id": "long", "messages": [asked, {"role": "assistant", "content": "bel dan " * 90}], **about},
        {"id": "ends", "messages": [asked, {"role": "assistant", "content": "<|endoftext|>"}], **about},
    ]
    (folder / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run_recipe(compose(tuning(base, folder, tmp_path / "runs", "sft", "optim.steps=2", "optim.warmup_steps=1")))
    lines = (tmp_path / "runs/small/release/data/excluded.jsonl").read_text().splitlines()
    left_out = {row["id"].split("/")[1]: row for row in map(json.loads, lines)}
    assert {name: row["rule"] for name, row in left_out.items()} == {
        "mute": "example", "long": "example_length", "ends": "example"
    }  # fmt: skip
    assert int(left_out["long"]["value"]) > 128
    assert "model.seq_len=128" in left_out["long"]["reason"]
    shutil.rmtree(tmp_path / "runs")
    (folder / "lessons.jsonl").unlink()
    assert main(tuning(base, folder, tmp_path / "runs", "sft")) == 2
    said = capsys.readouterr().err
    assert "0 documents for training" in said
    assert "without an answer" in said or "special token" in said or "tokens, more than" in said
    assert main(tuning(base, lessons["dpo"], tmp_path / "runs", "sft")) == 2
    assert "tune=sft learns from messages" in capsys.readouterr().err
