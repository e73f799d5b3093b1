"""Two releases side by side: what was left out of one is found in the other; chance is told from difference."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import small_run, write_school
from train.__main__ import main
from train.config import compose
from train.libre import compare, render_comparison
from train.recipe import run_recipe
from train.records import BadInput


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release without an author, one layer less."""
    folder = tmp_path_factory.mktemp("without")
    more = ["data.exclude.authors=[Author 1]", "model.n_layers=1", "run.name=without"]
    run_recipe(compose([*small_run(write_school(folder / "school"), folder / "runs"), *more]))
    return folder / "runs" / "without" / "release"


def test_what_each_left_out_and_chose(release: Path, without: Path) -> None:
    found = compare(release, without)
    alone, none = found["learned_by_one_alone"]
    assert list(alone["authors"]) == ["Author 1"]
    assert alone["left_out_there_by"] == {"exclude": alone["documents"]}
    assert none == {"documents": 0, "authors": {}, "left_out_there_by": {}}
    assert found["choices"]["model.n_layers"] == [2, 1]
    assert found["choices"]["data.exclude.authors"] == [[], ["Author 1"]]
    assert "model.d_model" not in found["choices"]
    assert found["same"]["code"]
    assert not found["same"]["documents"]
    assert found["parameters"][0] > found["parameters"][1]
    said = render_comparison(found)
    assert "learned by small alone" in said
    assert "left out of the other by: exclude" in said


def test_a_release_is_no_better_than_itself(release: Path) -> None:
    found = compare(release, release)
    assert found["choices"] == {}
    assert found["difference"]["bits_per_byte"] == 0
    assert not found["difference"]["larger_than_chance"]


def change(release: Path, folder: Path, edit: Any) -> Path:
    shutil.copytree(release, folder)
    path = folder / "release.json"
    record = json.loads(path.read_text())
    edit(record["results"]["bits_per_byte"])
    path.write_text(json.dumps(record))
    return folder


def test_chance_is_told_from_a_difference(release: Path, tmp_path: Path) -> None:
    def all_better(bits: dict[str, Any]) -> None:
        bits["by_document"] = {name: value * 0.9 for name, value in bits["by_document"].items()}

    def now_better_now_worse(bits: dict[str, Any]) -> None:
        names = sorted(bits["by_document"])
        bits["by_document"] = {n: bits["by_document"][n] * (0.9 if i % 2 else 1.1) for i, n in enumerate(names)}

    better = compare(release, change(release, tmp_path / "better", all_better))["difference"]
    assert better["larger_than_chance"]
    assert better["interval"][1] < 0
    mixed = compare(release, change(release, tmp_path / "mixed", now_better_now_worse))["difference"]
    assert not mixed["larger_than_chance"]


def test_what_cannot_be_compared_is_not(release: Path, tmp_path: Path) -> None:
    other = change(release, tmp_path / "other", lambda bits: bits["measure"].update(left_to_right=False))
    found = compare(release, other)
    assert not found["difference"]["comparable"]
    assert "Not to be compared" in render_comparison(found)


def evil(release: Path, folder: Path) -> Path:
    """A release each of whose words would drive a terminal, or stand as a line of its own."""
    shutil.copytree(release, folder)
    word = "\x1b]0;owned\x07\nboo"
    record = json.loads((folder / "release.json").read_text())
    record["name"], record["cost"]["outcome"]["seconds"] = f"small{word}", word
    (folder / "release.json").write_text(json.dumps(record))
    for name, changes in (("excluded", {"rule": word}), ("manifest", {"authors": [word, 3]})):
        rows = [json.loads(line) for line in (folder / "data" / f"{name}.jsonl").read_text().splitlines()]
        (folder / "data" / f"{name}.jsonl").write_text("".join(json.dumps(row | changes) + "\n" for row in rows))
    config = (folder / "recipe" / "config.yaml").read_text()
    (folder / "recipe" / "config.yaml").write_text(config.replace("name: without", f"name: {json.dumps(word)}"))
    return folder


def test_what_a_release_says_cannot_drive_the_terminal(
    release: Path, without: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(release), str(evil(without, tmp_path / "evil"))]) == 0
    said = capsys.readouterr().out
    assert "left out of the other by:  ]0;owned  boo" in said
    assert not [char for char in said if not (char.isprintable() or char == "\n")]
    assert not [line for line in said.splitlines() if line.startswith("boo")]
    assert render_comparison(compare(without, tmp_path / "evil")).count("owned") > 3


@pytest.mark.parametrize(
    ("at", "wrong"),
    [
        (("digest",), 3),
        (("name",), None),
        (("ingredients", "documents", "bytes"), "many"),
        (("weights", "parameters"), "many"),
        (("results", "bits_per_byte", "total"), "1.2"),
    ],
)
def test_a_release_of_other_types_is_refused(release: Path, tmp_path: Path, at: tuple[str, ...], wrong: Any) -> None:
    shutil.copytree(release, tmp_path / "other")
    record = inside = json.loads((release / "release.json").read_text())
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = wrong
    (tmp_path / "other" / "release.json").write_text(json.dumps(record))
    for folders in ((release, tmp_path / "other"), (tmp_path / "other", release)):
        with pytest.raises(BadInput, match=rf"not as its schema says: {at[0]}"):
            compare(*folders)


@pytest.mark.parametrize("wrong", [{"n_bytes": "many"}, {"n_bytes": None}, {"authors": "Ann"}, {"id": []}])
def test_a_manifest_of_other_types_is_refused(release: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    shutil.copytree(release, tmp_path / "other")
    path = tmp_path / "other" / "data" / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | wrong) + "\n" for row in rows))
    with pytest.raises(BadInput, match="a line that is no document"):
        compare(release, tmp_path / "other")


def test_the_front_door(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(release), str(release), "--json", str(tmp_path / "out.json")]) == 0
    assert "no larger than chance" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["names"] == ["small", "small"]
    assert main(["compare", str(release), str(tmp_path)]) == 2
    broken = change(release, tmp_path / "broken", lambda bits: bits.pop("unigram"))
    with pytest.raises(BadInput, match="unigram"):
        compare(release, broken)
