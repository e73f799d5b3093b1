"""What a release says of its scores: every part obeys the schema, is measured again, and stands in the card."""

import shutil
from pathlib import Path

import pytest

from train.documents import read_documents
from train.evaluate import measure_again
from train.libre.audit import Subject, ask
from train.libre.audit.finding import Status
from train.records import BadInput, read_json, write_json
from train.tokens import encode_document, load_tokenizer


def tokens_of(release: Path, split: str) -> list[list[int]]:
    tokenizer = load_tokenizer(release)
    documents = read_documents(release / "data", split)
    return [[id for part in encode_document(tokenizer, document.text) for id in part] for document in documents]


def test_the_overlap_is_that_of_sets_of_n_grams(release: Path) -> None:
    found = read_json(release / "release.json")["results"]["overlap"]
    least = found["at_least"]
    grams = {tuple(d[i : i + least]) for d in tokens_of(release, "train") for i in range(len(d) - least + 1)}
    covered = total = 0
    for document in tokens_of(release, "validation"):
        starts = [i for i in range(len(document) - least + 1) if tuple(document[i : i + least]) in grams]
        covered += len({place for start in starts for place in range(start, start + least)})
        total += len(document)
    assert total > 0
    assert found["share"] == pytest.approx(covered / total, abs=5e-5)


def test_a_stated_overlap_that_is_not_so(release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    assert ask("DATA-11", Subject(copy, tmp_path / "one")).status is Status.verified
    record = read_json(copy / "release.json")
    record["results"]["overlap"]["share"] += 0.1
    write_json(copy / "release.json", record)
    assert ask("DATA-11", Subject(copy, tmp_path / "two")).status is Status.failed


def test_every_table_is_measured_again(release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    assert measure_again(copy)["same"]
    path = copy / "evaluation" / "results.json"
    results = read_json(path)
    bits = results["bits_per_byte"]
    assert list(bits["by_source"]) == ["files:school"]
    assert list(bits["by_language"]) == ["en"]
    for kind in ("by_source", "by_language", "by_author"):
        name = next(iter(bits[kind]))
        write_json(path, results | {"bits_per_byte": bits | {kind: bits[kind] | {name: bits[kind][name] + 0.01}}})
        assert not measure_again(copy)["same"], kind
        write_json(path, results | {"bits_per_byte": bits | {kind: bits[kind] | {"nobody": 1.0}}})
        with pytest.raises(BadInput, match="others than"):
            measure_again(copy)


def test_the_card_says_it_with_its_error(release: Path) -> None:
    card, results = (release / "README.md").read_text("utf-8"), read_json(release / "release.json")["results"]
    bits = results["bits_per_byte"]
    drawn = bits["intervals"]["total"]
    assert f"between {drawn['low']:.4f} and {drawn['high']:.4f}" in card
    assert f"{100 * results['overlap']['share']:.2f} % of the held-out tokens" in card
    for name, value in bits["by_author"].items():
        assert f"| author | {name} |" in card
        assert f"{value:.3f}" in card
