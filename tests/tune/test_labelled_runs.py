"""Encoders that learn labels: releases that `transformers` loads with equal logits, audited, rebuilt, resumed."""

import json
import math
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import make_text, small_run, write_school
from tests.run.test_resume import start, wait_for
from tests.tune.lessons import SAID, tuning
from train.config import compose
from train.documents import Classified, Extracted, Tagged, parse_labelled, read_documents, words_of
from train.evaluate import Said, judge_all, score_labels
from train.evaluate.labels_again import labels_again
from train.hugging_face import from_hugging_face
from train.libre import audit, compare, rebuild, render_comparison
from train.libre.audit import Subject, ask
from train.libre.audit.finding import Status
from train.model import Labeller, Purpose
from train.recipe import run_recipe
from train.records import BadInput, canonical_json, read_json
from train.sample import Sampling, speak
from train.tokens import Marker, load_tokenizer, load_vocabulary, read_labelled
from train.tune import Span

PURPOSES = ["tag", "classify", "extract"]
FAMILIES = ["bert", "xlnet"]
EVERY = [
    pytest.param(
        family, way, marks=() if (family, way) in {("bert", "tag"), ("xlnet", "classify")} else pytest.mark.slow
    )
    for family in FAMILIES
    for way in PURPOSES
]


def write_labels(folder: Path, way: str, count: int = 80) -> Path:
    """A folder with labels.jsonl, of the invented words: tags by their endings, a label by the first word's, a span."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        words = make_text(300 + number, 8).lower().replace(".", "").split()
        kinds = [word[-1].upper() for word in words]
        row: dict[str, Any] = {
            "words": words,
            "tags": [kind if number % 3 else None for kind in kinds[:-1]] + kinds[-1:],
        }
        if way == "classify":
            row = {"passage": " ".join(words), "label": kinds[0]}
        elif way == "extract":
            passage, start = " ".join(words), len(" ".join(words[:3])) + 1
            row = {"question": f"what comes after {words[2]}", "passage": passage, "answer": words[3], "start": start}
        about = {"id": f"labels-{number:02d}", "title": f"Labels {number}", "authors": [f"Author {number % 3}"]}
        rows.append({**row, **about, **SAID})
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for family in FAMILIES:
        folder = tmp_path_factory.mktemp(family)
        size = 400 if family == "xlnet" else 150
        more = (f"model={family}", f"tokenizer.vocab_size={size}", "model.seq_len=64", "optim.steps=8")
        words = [
            word for word in small_run(write_school(folder / "school"), folder / "runs", *more) if "d_head" not in word
        ]
        run_recipe(compose([*words, "model.n_heads=2", "model.n_layers=2"]))
        found[family] = folder / "runs" / "small" / "release"
    return found


@pytest.fixture(scope="module")
def tuned(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The release of a family and a way, made once."""
    made: dict[tuple[str, str], Path] = {}

    def release(family: str, way: str) -> Path:
        if (family, way) not in made:
            folder = tmp_path_factory.mktemp(f"{family}-{way}")
            lessons = write_labels(folder / "lessons", way)
            run_recipe(compose(tuning(bases[family], lessons, folder, way)))
            made[family, way] = folder / "small" / "release"
        return made[family, way]

    return release


@pytest.mark.parametrize(("family", "way"), EVERY)
def test_transformers_reads_the_release_with_equal_logits(tuned: Any, family: str, way: str) -> None:
    import transformers

    release = tuned(family, way)
    kinds = {"tag": "Token", "classify": "Sequence"}
    name = f"AutoModelFor{kinds[way]}Classification" if way in kinds else "AutoModelForQuestionAnswering"
    theirs = getattr(transformers, name).from_pretrained(release).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(release)
    ours = from_hugging_face(release).eval()
    assert isinstance(ours, Labeller)
    assert ours.labels == (() if way == "extract" else tuple(theirs.config.id2label.values()))
    texts = ["bel dan mir", "dan bel mir sol tan bel"]
    given = tokenizer(texts, texts[::-1] if way == "extract" else None, padding=True, return_tensors="pt")
    given.setdefault("token_type_ids", torch.zeros_like(given["input_ids"]))
    with torch.no_grad():
        out = theirs(**given)
        wanted = out.logits if "logits" in out else torch.stack([out.start_logits, out.end_logits], -1)
        mask = given["attention_mask"].bool()
        found = ours(given["input_ids"], segments=given["token_type_ids"], attention_mask=mask)
    found, wanted = (found[:, 0], wanted) if way == "classify" else (found[mask], wanted[mask])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("family", "way"), EVERY)
def test_an_audit_accepts_it_and_a_rebuild_is_the_same(
    tuned: Any, bases: dict[str, Path], family: str, way: str
) -> None:
    release = tuned(family, way)
    found = audit(release, bases=[bases[family]])
    assert [(finding.id, finding.found) for finding in found.failed] == []
    assert rebuild(release, "R3", base=bases[family], note=lambda _: None).identical
    with pytest.raises(BadInput, match="says nothing"):
        speak(release, "bel", Sampling(max_tokens=2))
    with pytest.raises(BadInput, match="has a head for labels"):
        compose(["+experiment=tiny", f"tune={way}", f"tune.from={release}"])


@pytest.mark.parametrize(("family", "way"), EVERY)
def test_its_scores_stand_beside_guesses_in_the_record_and_the_card(tuned: Any, family: str, way: str) -> None:
    found = read_json(tuned(family, way) / "release.json")["results"]["labels"]
    assert found["name"] == way
    assert set(found["baselines"]) > ({"the most frequent label"} if way != "extract" else {"the first number"})
    metrics = set(found["scores"])
    assert all(set(scores) == metrics for scores in found["baselines"].values())
    marks = [mark for scores in (found["scores"], *found["baselines"].values()) for mark in scores.values()]
    assert all(0 <= mark["low"] <= mark["value"] <= mark["high"] <= 1 for mark in marks)
    card = (tuned(family, way) / "README.md").read_text("utf-8")
    assert all(f"{mark['value']:.3f} ({mark['low']:.3f} to {mark['high']:.3f})" in card for mark in marks)


def restated(release: Path, labels: Any) -> Path:
    """The release with other scores of its labels, everywhere."""
    for path in (release / "evaluation" / "results.json", release / "release.json"):
        record = read_json(path)
        (record["results"] if path.name == "release.json" else record)["labels"] = labels
        path.write_text(json.dumps(record))
    return release


def test_a_forged_score_is_found(tuned: Any, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tuned("bert", "tag"), tmp_path / "copy"))
    true = read_json(copy / "release.json")["results"]["labels"]

    def found(**labels: Any) -> str:
        finding = ask("EVAL-01", Subject(restated(copy, true | labels), tmp_path / "work"))
        assert (finding.status is Status.failed) == (not finding.found.startswith("measured again"))
        return finding.found

    def forged(end: str, value: Any) -> dict[str, Any]:
        return true["scores"] | {"accuracy": true["scores"]["accuracy"] | {end: value}}

    right = true["scores"]["accuracy"]["value"]
    assert f"accuracy {right:.4f}, macro_f1" in found()
    plain = {name: mark["value"] for name, mark in true["scores"].items()}
    assert "as stated" in found(scores=plain)  # as they were before they had bars
    lie = 0.0 if right > 0.5 else 1.0
    assert f"accuracy of the model: {lie:.4f} is stated, {right:.4f} was measured" in found(scores=forged("value", lie))
    assert f"accuracy of the model: {lie:.4f}" in found(scores=plain | {"accuracy": lie})
    assert "the high end of accuracy" in found(scores=forged("high", 9.0))
    assert "accuracy of the model: nan is stated" in found(scores=forged("value", math.nan))
    guess = true["baselines"] | {"the most frequent label": true["scores"]}
    assert "of the most frequent label" in found(baselines=guess)
    assert "the guesses beside its labels are not" in found(baselines={})
    assert "not both" in found(scores={"accuracy": true["scores"]["accuracy"]})
    assert "other labels" in found(asked=1)
    for broken in ([], {"accuracy": None}, {"accuracy": {"value": 1.0}}, {"accuracy": 10**400}, {"accuracy": "x"}):
        assert "cannot be read" in found(scores=broken)
    for nothing in (None, [], {}, "labels"):
        finding = ask("EVAL-01", Subject(restated(copy, nothing), tmp_path / "work"))
        assert finding.status is Status.failed
        assert "cannot be read" in finding.found


def test_only_what_lies_near_may_turn(tuned: Any) -> None:
    release = tuned("bert", "tag")
    marker = Marker(load_tokenizer(release), load_vocabulary(release), ("A",))
    judged = judge_all(read_labelled(read_documents(release / "data", "validation")), marker)
    true = read_json(release / "release.json")["results"]["labels"]
    right = [one.wanted for one in judged]
    wrong = [("?", *right[0][1:]), *right[1:]]
    scores = score_labels(Purpose.tag, {"right": right, "wrong": wrong}, judged)
    for behind, same in ((0.001, True), (0.1, False)):
        said = [Said(labels, other, behind) for labels, other in zip(right, wrong, strict=True)]
        _, apart = labels_again(release, Purpose.tag, true | {"scores": scores["wrong"]}, judged, said)
        assert (apart == []) == same, apart


def test_two_that_label_the_same_are_compared(tuned: Any, bases: dict[str, Path], tmp_path: Path) -> None:
    release = tuned("bert", "tag")
    found = compare(release, release)
    own = read_json(release / "release.json")["results"]["labels"]
    assert (found["tasks"]["tag"]["comparable"], found["tasks"]["tag"]["questions"]) == (True, own["asked"])
    assert [row["larger_than_chance"] for row in found["tasks"]["tag"]["scores"].values()] == [False, False]
    assert (found["difference"]["documents"], found["difference"]["bits_per_byte"]) == (own["asked"], 0)
    other = Path(shutil.copytree(release, tmp_path / "other"))
    bars = {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}
    better = {"accuracy": {"value": 0.7, "low": 0.64, "high": 0.76}}
    record = read_json(other / "release.json")
    bits = record["results"]["bits_per_byte"]
    bits["by_document"] = {name: value + 0.5 for name, value in bits["by_document"].items()}
    (other / "release.json").write_text(json.dumps(record))
    first = restated(Path(shutil.copytree(release, tmp_path / "first")), own | {"scores": bars})
    found = compare(first, restated(other, own | {"scores": better}))
    row = found["tasks"]["tag"]["scores"]["accuracy"]
    assert row["interval"] == pytest.approx([0.2 - math.hypot(0.06, 0.1), 0.2 + math.hypot(0.06, 0.1)])
    assert row["larger_than_chance"]
    assert found["difference"]["bits_per_byte"] == pytest.approx(0.5)  # whatever an example's size
    assert "tag accuracy" in render_comparison(found)
    assert (
        "without error bars"
        in compare(first, restated(other, own | {"scores": {"accuracy": 0.7}}))["tasks"]["tag"]["why"]
    )
    assert (
        compare(release, tuned("xlnet", "classify"))["difference"]["why"] == "they put other labels on what they read"
    )
    assert "its labels, the other by its texts" in compare(release, bases["bert"])["difference"]["why"]


@pytest.mark.parametrize(("family", "way"), [("bert", "tag"), pytest.param("xlnet", "extract", marks=pytest.mark.slow)])
def test_killed_and_resumed_it_has_the_same_digest(
    tuned: Any, bases: dict[str, Path], tmp_path: Path, family: str, way: str
) -> None:
    before = read_json(tuned(family, way) / "release.json")
    words = tuning(bases[family], write_labels(tmp_path / "lessons", way), tmp_path, way, "run.evaluate_every=1000")
    process = start(words)
    wait_for((tmp_path / "small" / "checkpoints" / "step-000006").exists, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "small" / "release").exists()
    after = run_recipe(compose(words))
    assert after["weights"] == before["weights"]
    assert after["results"]["bits_per_byte"] == before["results"]["bits_per_byte"]


def test_other_families_are_refused_in_a_line(release: Path, bases: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match=r"a llama puts no labels on what it reads \(tune=tag\); bert and xlnet do"):
        compose(["+experiment=tiny", "tune=tag", f"tune.from={release}"])
    with pytest.raises(BadInput, match="a bert fills masks in and gives no answers"):
        compose(["+experiment=tiny", "tune=sft", f"tune.from={bases['bert']}"])


def test_examples_of_another_kind_are_left_out(bases: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="tune=classify learns from a label"):
        run_recipe(compose(tuning(bases["bert"], write_labels(tmp_path / "lessons", "tag"), tmp_path, "classify")))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"words": ["a", "b"], "tags": [None, "X"]}, Tagged(("a", "b"), (None, "X"))),
        ({"passage": "a b", "label": "x"}, Classified("a b", "x")),
        ({"question": "q", "passage": "a b", "answer": "b", "start": 2}, Extracted("q", "a b", 2, "b")),
        ({"words": ["a b"], "tags": ["X"]}, "without spaces"),
        ({"words": ["a"], "tags": [None]}, "one at least"),
        ({"words": ["a"], "tags": []}, "as long as each other"),
        ({"passage": " ", "label": "x"}, "not empty"),
        ({"question": "q", "passage": "a b", "answer": "b", "start": 1}, "does not stand at its start"),
        ({"question": "q", "passage": "a b", "answer": "b", "start": -1}, "does not stand at its start"),
        ({"passage": "a b"}, "holds neither"),
    ],
)
def test_labels_are_read_or_refused_with_a_reason(value: dict[str, Any], found: Any) -> None:
    text = canonical_json(value).decode()
    read = parse_labelled(text)
    assert read == found if not isinstance(found, str) else found in str(read)
    if not isinstance(read, str):
        assert words_of(text) == read.text
    assert isinstance(parse_labelled(text + " "), str)


@pytest.mark.parametrize("family", FAMILIES)
def test_marks_stand_where_the_labels_are(bases: dict[str, Path], family: str) -> None:
    tokenizer = load_tokenizer(bases[family])
    marker = Marker(tokenizer, load_vocabulary(bases[family]), ["A", "B"])
    tagged = marker.encode(Tagged(("beldan", "mir", "sol"), ("B", None, "A")))
    assert [mark for mark in tagged.marks if mark] == [2, 1]
    assert [tagged.marks[place] for place in tagged.first] == [2, 1]
    passage = "bel dan mir sol"
    spanned = marker.encode(Extracted("dan bel", passage, 8, "mir"))
    start, stop = spanned.first[0], spanned.last[0]
    assert passage[spanned.offsets[start][0] : spanned.offsets[stop][1]].strip() == "mir"
    assert all(mark & 4 for mark in spanned.marks[start : stop + 1])
    assert marker.encode(Classified("bel", "C")).marks[0] == 0  # not known


def test_the_loss_of_a_span_is_that_of_transformers(tmp_path: Path) -> None:
    from tests.hugging_face.test_labellers import inputs, make
    from train.hugging_face import to_hugging_face

    import transformers  # isort: skip

    model, given = make("bert", Purpose.extract), inputs()
    to_hugging_face(model, tmp_path)
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    targets = torch.tensor([[9, 12], [14, 14]])
    wanted = theirs(
        input_ids=given["tokens"], token_type_ids=given["segments"], attention_mask=given["attention_mask"].long(),
        start_positions=targets[:, 0], end_positions=targets[:, 1],
    ).loss  # fmt: skip
    loss, where = Span(), {"attention_mask": given["attention_mask"]}
    found = loss(model.hidden(**given), model.head, targets, where, torch.float32, False)
    torch.testing.assert_close(found / loss.count(targets.numpy(), {}), wanted, rtol=1e-5, atol=1e-6)
    wanted.backward()
    (found / 4).backward()
    torch.testing.assert_close(model.head.weight.grad, theirs.qa_outputs.weight.grad, rtol=1e-4, atol=1e-6)


def test_documents_of_a_release_are_the_rows_of_the_file(tuned: Any) -> None:
    release = tuned("bert", "tag")
    documents = [d for split in ("train", "validation") for d in read_documents(release / "data", split)]
    assert all(isinstance(parse_labelled(document.text), Tagged) for document in documents)
    assert np.all([document.licence == "CC0-1.0" for document in documents])
