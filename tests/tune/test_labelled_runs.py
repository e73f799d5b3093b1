"""Encoders that learn labels: releases that `transformers` loads with equal logits, audited, rebuilt, resumed."""

import json
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
from train.hugging_face import from_hugging_face
from train.libre import audit, rebuild
from train.model import Labeller, Purpose
from train.recipe import run_recipe
from train.records import BadInput, canonical_json, read_json
from train.sample import Sampling, speak
from train.tokens import Marker, load_tokenizer, load_vocabulary
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
    assert all(set(scores) == metrics and max(scores.values()) <= 1 for scores in found["baselines"].values())
    card = (tuned(family, way) / "README.md").read_text("utf-8")
    assert all(f"{score:.4f}" in card for score in found["scores"].values())


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
