"""A planted passage is traced to its author; what was changed in a release is found; steps are those of the order."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from train.__main__ import main
from train.batches import order
from train.documents import read_documents
from train.libre import Trace, open_trace, render
from train.records import BadInput
from train.tokens import TokenStore


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trace(release: Path, cache: Path) -> Trace:
    return open_trace(release, cache)


def test_a_planted_passage_is_traced_to_its_author(release: Path, trace: Trace) -> None:
    document = list(read_documents(release / "data", "train"))[5]
    words = document.text.split()
    planted = " ".join(words[100:130])
    answer = trace.text(f"zzz qqq {planted} xxyy zz", at_least=10)
    best = answer.passages[0]
    assert best.text.strip() == planted
    source = best.sources[0]
    assert (source.id, source.authors, source.title) == (document.id, document.authors, document.title)
    assert source.licence == "CC0-1.0"
    assert source.before.split()[-1] == words[99]
    assert source.after.split()[0] == words[130]
    assert 0.5 < answer.verbatim < 1
    said = render(answer)
    assert document.authors[0] in said
    assert "does not show that the text caused them" in said


def test_a_text_shorter_than_a_passage_is_looked_for_whole(release: Path, trace: Trace) -> None:
    words = list(read_documents(release / "data", "train"))[5].text.split()
    answer = trace.text(words[100], at_least=None)
    assert answer.at_least == answer.query_tokens == answer.passages[0].tokens < 8
    assert trace.text(words[100]).passages == ()  # of a model's short answer nothing is said


def test_what_was_never_read_is_not_found(trace: Trace) -> None:
    assert trace.text("0123456789 #!? @@@ ~~~", at_least=8).passages == ()
    assert trace.text("").passages == trace.text(" ", at_least=None).passages == ()
    with pytest.raises(BadInput):
        trace.text("a", at_least=0)


def test_the_steps_are_those_whose_batches_held_the_document(release: Path, trace: Trace, cache: Path) -> None:
    stated = json.loads((release / "release.json").read_text())["ingredients"]["tokens"]["train"]["digest"]
    store = TokenStore(cache / "index" / stated, "train")
    documents = list(read_documents(release / "data", "train"))
    count = (len(store) - 1) // 32
    for number in (0, 7, len(documents) - 1):
        source = next(s for s in trace.author(documents[number].authors[0]) if s.id == documents[number].id)
        start, stop = store.offsets[number], store.offsets[number + 1]
        saw = [
            step + 1
            for step in range(24)
            for sequence in order(0, step, sequences=count, sequences_per_step=4)
            if sequence * 32 < stop and sequence * 32 + 33 > start
        ]
        assert source.steps == len(set(saw))
        assert (source.first_step, source.last_step) == (min(saw), max(saw))


def test_an_author_s_texts(release: Path, cache: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["trace", str(release), "--cache", str(cache), "--json", str(tmp_path / "answer.json")]
    assert main([*words, "--author", "author 1"]) == 0
    by_author = [d.id for d in read_documents(release / "data", "train") if d.authors == ("Author 1",)]
    assert [row["id"] for row in json.loads((tmp_path / "answer.json").read_text())] == by_author
    assert main([*words, "--author", "Auther 1"]) == 1
    assert "names like it: Author 1" in capsys.readouterr().out


def test_the_front_door(release: Path, cache: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["trace", str(release), "--cache", str(cache)]
    assert main([*words, "~~~~ ####"]) == 1
    assert main([*words, "--generate", "Arbel"]) in {0, 1}
    assert "generated: Arbel" in capsys.readouterr().out
    assert main([*words, "--file", str(tmp_path / "none.txt")]) == 2
    assert main([*words, "caf\udce9"]) == 1  # a command line that is not UTF-8
    assert main(["trace", str(tmp_path), "a"]) == 2


def test_a_changed_document_is_found(release: Path, tmp_path: Path) -> None:
    from train.documents.store import write_documents

    shutil.copytree(release, tmp_path / "release")
    documents = list(read_documents(release / "data", "train"))
    with write_documents(tmp_path / "release" / "data", "train") as writer:
        for document in documents[1:]:
            writer.write(document)
    with pytest.raises(BadInput, match="something in the folder was changed"):
        open_trace(tmp_path / "release", tmp_path / "cache")


def test_what_the_model_says_cannot_drive_the_terminal(
    release: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("train.sample.speak", lambda *_: "cor\n\x1b]0;owned\x07 del")
    main(["trace", str(release), "--cache", str(cache), "--generate", "x"])
    assert "generated: cor  ]0;owned  del\n" in capsys.readouterr().out


def test_titles_from_outside_cannot_drive_the_terminal(release: Path, trace: Trace) -> None:
    evil = trace.author("Author 1")[0]
    from dataclasses import replace

    from train.libre.trace import Answer, Passage

    source = replace(evil, title="\x1b[2J\nboo", authors=("a\x07b",), url="\x1b]0;x\x07", before="", after="")
    said = render(Answer(10, 5, 0.5, ("the training texts",), "", (Passage("words", 5, 1, (source,)),)))
    assert not any(ord(char) < 32 and char != "\n" for char in said)
    assert np.char.count(said, "\nboo") == 0
