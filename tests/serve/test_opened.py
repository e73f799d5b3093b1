"""What is said of a model, and where words stand in a document."""

import json
import shutil
from pathlib import Path

import pytest

from tests.serve.conftest import Served
from train.records import BadInput
from train.sample import Sampling
from train.serve import open_release
from train.serve.opened import _AROUND, mark


def test_words_are_marked_where_they_stand() -> None:
    text = "One two\n  three. one TWO three, and two three"
    parts, before, behind = mark(text, "one two three")
    assert "".join(part for part, _ in parts) == text
    assert [part for part, marked in parts if marked] == ["One two\n  three", "one TWO three"]
    assert (before, behind) == (0, 0)
    assert [part for part, marked in mark("il l'a dit.", "l ' a dit .")[0] if marked] == ["l'a dit."]
    assert [part for part, marked in mark("naïve 日本語", "\N{REPLACEMENT CHARACTER}本語")[0] if marked] == ["本語"]
    for words in ("never", "", "   ", ".*", "\\", "("):
        assert not any(marked for _, marked in mark(text, words)[0])


def test_a_long_document_is_cut_around_the_words() -> None:
    text = "a" * 300_000 + " the words " + "b" * 300_000
    parts, before, behind = mark(text, "the words")
    assert [part for part, marked in parts if marked] == ["the words"]
    assert sum(len(part) for part, _ in parts) == 2 * _AROUND + len("the words")
    assert before + behind + 2 * _AROUND + len("the words") == len(text)
    assert sum(len(part) for part, _ in mark(text, "never")[0]) == _AROUND


def test_a_document_of_the_release_with_its_words_marked(served: Served) -> None:
    from urllib.parse import urlencode

    trace = served.opened.trace
    assert trace is not None
    source = trace.documents()[3]
    document = served.opened.document("0", source.id)
    assert document is not None
    words = " ".join(document.text.split()[50:70])
    status, _, body = served.request("GET", f"/api/document?{urlencode({'where': 0, 'id': source.id, 'words': words})}")
    found = json.loads(body)
    assert status == 200
    assert "".join(part for part, _ in found["parts"]) == document.text
    assert " ".join(next(part for part, marked in found["parts"] if marked).split()) == words
    assert (found["authors"], found["licence"]) == (list(document.authors), "CC0-1.0")


def test_what_is_said_of_a_model(served: Served, plain: Served, conversing: Served) -> None:
    about = {name: json.loads(one.request("GET", "/api/about")[2])
             for name, one in (("ours", served), ("plain", plain), ("conversing", conversing))}  # fmt: skip
    assert about["ours"]["name"] == "small"
    assert about["ours"]["untraceable"] == ""
    assert about["ours"]["sampling"] == {"temperature": 0.8, "top_k": 50, "max_tokens": 20, "seed": 0}
    assert about["plain"]["name"] == "some-model"
    assert "nothing to trace" in about["plain"]["untraceable"]
    assert "chat template" in about["conversing"]["what"]
    assert json.loads(served.request("GET", "/api/card")[2])["text"] == (served.opened.folder / "README.md").read_text(
        "utf-8"
    )
    assert json.loads(plain.request("GET", "/api/card")[2])["text"] == ""
    assert json.loads(served.request("GET", "/api/audit")[2]) == {"state": "being computed"}


def test_a_release_that_was_changed_can_be_asked_and_not_traced(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "release")
    record = json.loads((release / "release.json").read_text())
    record["ingredients"]["tokens"]["train"]["digest"] = "0" * 64
    (tmp_path / "release" / "release.json").write_text(json.dumps(record))
    opened = open_release(tmp_path / "release", tmp_path / "cache", Sampling())
    assert opened.trace is None
    assert "something in the folder was changed" in opened.untraceable
    with pytest.raises(BadInput, match="no such folder"):
        open_release(tmp_path / "nothing", tmp_path / "cache", Sampling())
    with pytest.raises(BadInput, match=r"--base .*nothing: there is no such folder"):
        open_release(tmp_path / "release", tmp_path / "cache", Sampling(), [tmp_path / "nothing"])
