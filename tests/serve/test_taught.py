"""A tuned model with its base at hand: a conversation, and which of its examples and base's texts hold its words."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.serve.conftest import LESSON, QUESTION, Served
from tests.serve.test_terminal import lines
from train.__main__ import main
from train.documents import find_document, read_documents
from train.libre import open_trace, render
from train.records import BadInput, read_json
from train.sample import Sampling
from train.serve import open_release, talk
from train.tokens import Chat, Message
from train.tune import open_base


def asked(served: Served, prompt: str) -> str:
    """What the page shows and looks up: the prompt, and the answer under it."""
    status, _, body = served.request("POST", "/api/say", {"prompt": prompt})
    assert status == 200
    first, *steps, _ = [json.loads(line) for line in body.splitlines()]
    return str(first["pieces"][0]) + "".join(step["text"] for step in steps)


def marked(served: Served, **query: object) -> tuple[str, list[str]]:
    """A document's text as the page shows it, and what is marked in it."""
    status, _, body = served.request("GET", f"/api/document?{urlencode(query)}")
    assert status == 200
    parts = json.loads(body)["parts"]
    return "".join(part for part, _ in parts), [part for part, marks in parts if marks]


def test_an_answer_leads_to_the_example_that_holds_it(taught: Served, tuned: tuple[Path, Path]) -> None:
    text = asked(taught, QUESTION)
    assert text == f"{QUESTION}\n{LESSON}"
    found = json.loads(taught.request("POST", "/api/trace", {"text": text})[2])
    passage = found["passages"][0]
    assert passage["text"].strip() == LESSON.replace("\n", " ")
    source = passage["sources"][0]
    assert (source["where"], source["authors"], source["licence"]) == (0, ["Ann Teacher"], "CC0-1.0")
    whole, marks = marked(taught, where=0, id=source["id"], words=passage["text"].strip())
    assert whole.endswith(f" stand?\n\n{LESSON}")
    assert '{"' not in whole
    assert marks == [LESSON]  # across its quotes and its line end
    example = find_document(tuned[0] / "data", "train", source["id"])
    assert example is not None
    assert example.text.startswith('{"messages":')


def test_words_of_the_base_s_texts_lead_to_these(taught: Served, tuned: tuple[Path, Path]) -> None:
    document = list(read_documents(tuned[1] / "data", "train"))[5]
    words = " ".join(document.text.split()[30:60])
    found = json.loads(taught.request("POST", "/api/trace", {"text": f"{words}\n{LESSON}"})[2])
    assert found["looked_into"] == ["the examples it was tuned on", "the training texts of its base small"]
    assert found["not_looked_into"] == ""
    assert found["verbatim"] > 0.9
    source = next(one for passage in found["passages"] for one in passage["sources"] if one["id"] == document.id)
    assert (source["where"], source["title"], source["authors"]) == (1, document.title, list(document.authors))
    whole, marks = marked(taught, where=1, id=document.id, words=words)
    assert whole == document.text
    assert " ".join(marks[0].split()) == words
    assert taught.request("GET", f"/api/document?{urlencode({'where': 0, 'id': document.id})}")[0] == 404


def test_without_its_base_it_says_what_was_not_looked_into(tuned: tuple[Path, Path], index: Path) -> None:
    opened = open_release(tuned[0], index, Sampling())
    assert opened.trace is not None
    found = opened.trace.text(LESSON)
    assert found.looked_into == ("the examples it was tuned on",)
    said = render(found)
    assert "stand in the examples it was tuned on, in passages" in said
    assert "Not looked into: what its base small has read (--base RELEASE gives it)." in said
    card = (tuned[0] / "README.md").read_text("utf-8")
    assert "stand in the examples that it was tuned on word for word" in card
    assert "what its base has read was not looked into" in card


def test_passages_in_both_texts_are_told_apart(tuned: tuple[Path, Path], index: Path) -> None:
    said = render(open_trace(tuned[0], index, [tuned[1]]).text("cor del", at_least=1))
    assert "in the examples it was tuned on, seen at " in said
    assert "in the training texts of its base small, seen at " in said


def named_as_base(release: Path, digest: str, folder: Path) -> Path:
    """A copy of a release whose lineage names another base."""
    record = read_json(Path(shutil.copytree(release, folder)) / "release.json")
    record["lineage"][0] |= {"release": "other", "digest": digest}
    (folder / "release.json").write_text(json.dumps(record))
    return folder


def test_a_chain_of_bases_is_followed(tuned: tuple[Path, Path], index: Path, tmp_path: Path) -> None:
    again = named_as_base(tuned[0], read_json(tuned[0] / "release.json")["digest"], tmp_path / "again")
    trace = open_trace(again, index, tuned)
    assert trace.looked_into == (
        "the examples it was tuned on", "the examples that its base other was tuned on",
        "the training texts of its base small",
    )  # fmt: skip
    assert trace.not_looked_into == ""
    assert {source.where for source in trace.documents()} == {0, 1, 2}
    assert "its base small has read" in open_trace(again, index, tuned[:1]).not_looked_into


def test_a_base_that_cannot_be_read_or_is_another(tuned: tuple[Path, Path], index: Path, tmp_path: Path) -> None:
    release, base = tuned
    plain, gone = tmp_path / "plain", tmp_path / "gone"
    plain.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, plain / name)
    from_plain = named_as_base(release, open_base(plain).digest, tmp_path / "from-plain")
    assert "other has read, for it came without its texts" in open_trace(from_plain, index, [plain]).not_looked_into
    (Path(shutil.copytree(base, gone)) / "attest" / "withdrawals").mkdir(parents=True)
    about = [{"digest": {"sha256": read_json(base / "release.json")["digest"]}}]
    said = {"subject": about, "predicate": {"documents": [{"sha256": "0" * 64}], "why": "asked for"}}
    (gone / "attest" / "withdrawals" / "one.json").write_text(json.dumps(said))
    assert "small has read, for texts were withdrawn from it" in open_trace(release, index, [gone]).not_looked_into
    tokenizer = read_json(base / "tokenizer.json")
    numbers = tokenizer["model"]["vocab"]
    numbers["a"], numbers["b"] = numbers["b"], numbers["a"]
    (plain / "tokenizer.json").write_text(json.dumps(tokenizer))
    other = named_as_base(release, open_base(plain).digest, tmp_path / "other")
    for folder, given, why in (
        (release, release, "not the model that was tuned"),
        (release, tmp_path / "nothing", r"--base .*nothing: there is no such folder"),
        (other, plain, "has another tokenizer than the model"),
    ):
        with pytest.raises(BadInput, match=why):
            open_trace(folder, index, [given])


def test_the_front_door(tuned: tuple[Path, Path], index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release, base = map(str, tuned)
    words = ["trace", release, "--cache", str(index)]
    assert main([*words, "--author", "Author 1"]) == 1
    assert "Not looked into: what its base small has read" in capsys.readouterr().out
    assert main([*words, "--author", "Author 1", "--base", base]) == 0
    assert "in the training texts of its base small, seen at" in capsys.readouterr().out
    assert main([*words, LESSON, "--base", base]) == 0
    assert main([*words, LESSON, "--base", release]) == 2


def test_the_terminal_keeps_the_conversation(
    taught: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each message comes after all that were said, and not after one that was refused."""
    speaker, asked, ask = taught.opened.speaker, list[list[Message]](), Chat.ask

    def listen(chat: Chat, turns: Sequence[Message]) -> list[int]:
        asked.append([*turns])
        return ask(chat, turns)

    lines(monkeypatch, QUESTION, "Cor del", "never <|endoftext|>", "Dan \udc80")
    with monkeypatch.context() as patch:
        patch.setattr(Chat, "ask", listen)
        said = talk(taught.opened)
    first, second = (Message("assistant", one["text"]) for one in said[:2])
    turns = [Message("user", QUESTION), first, Message("user", "Cor del"), second, Message("user", "Dan ?")]
    assert first.content == LESSON
    assert [asked[0], asked[1], asked[3]] == [turns[:1], turns[:3], turns]
    answer = speaker.reply(turns)
    for _ in answer.steps(taught.opened.sampling):
        pass
    assert said[2:] == [{"prompt": "Dan ?", "text": answer.text()}]
    assert "error: it spells the special token" in capsys.readouterr().out
