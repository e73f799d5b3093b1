"""Of an example the rules read its words: the JSON around them is no text, and hides none."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from train.documents import (
    DataConfig,
    ExcludeConfig,
    Kind,
    RulesConfig,
    SourceConfig,
    build_corpus,
    read_documents,
    words_of,
)
from train.documents.duplicates import Duplicates
from train.documents.examples import example_text, parse_example
from train.documents.judge import judge, settle
from train.documents.rules import make_rules
from train.records import Document, Excluded, canonical_json

RULES = RulesConfig(licences=["CC0-1.0"], languages=["fr"], min_bytes=20, max_bytes=200)
FRENCH = "Où se trouve la gare de cette ville, et comment y va-t-on à pied ?"


def lesson(asked: str, answer: str, id: str = "a/1") -> Document:
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    text = canonical_json({"messages": said}).decode()
    size = len(text.encode())
    return Document(id=id, text=text, source="s", sha256="0" * 64, n_bytes=size, licence="CC0-1.0")


def rule_of(document: Document) -> str:
    found = judge(document, make_rules(RULES, ExcludeConfig())).found
    return found.rule if isinstance(found, Excluded) else found.language


def test_the_words_are_what_is_said() -> None:
    document = lesson("Où ?", "Là « ici »\n\tou là.")
    assert words_of(document.text) == "Où ?\n\nLà « ici »\n\tou là."
    assert words_of("plain {text}") == "plain {text}"
    assert words_of('{"messages": 1}') == '{"messages": 1}'


def test_every_rule_reads_the_words() -> None:
    assert rule_of(lesson(FRENCH, "Tout droit, puis à gauche.")) == "fr"
    assert rule_of(lesson("Oui ?", "Non.")) == "length"  # the JSON alone is longer than 20 bytes
    assert rule_of(lesson(FRENCH, "Tout droit. " * 9)) == "fr"  # and with the JSON it were longer than 200
    assert rule_of(lesson(FRENCH, "Tout droit.\x07")) == "control_characters"  # which JSON writes as six letters
    assert rule_of(lesson("Where is the station of this town, and how do I walk there?", "Over there.")) == "language"
    assert rule_of(lesson(FRENCH, "Demandez à\nbob@example.org")) == "personal_data"


def test_two_short_examples_are_not_alike_because_of_their_json() -> None:
    rules, earlier = make_rules(RULES, ExcludeConfig()), Duplicates(RULES.near_duplicate_similarity)
    one = lesson("Quelle est la capitale de la France ?", "Paris", "a/1")
    two = lesson("Combien font deux et trois ensemble ?", "Cinq", "a/2")
    again = lesson("Quelle est  la capitale de la France ?", "paris", "a/3")
    found = [settle(judge(document, rules), earlier) for document in (one, two, again)]
    assert [isinstance(item, Document) for item in found] == [True, True, False]
    assert isinstance(found[2], Excluded)
    assert found[2].rule == "duplicate"


@pytest.mark.parametrize("value", [2**60, float("nan"), b"x", datetime(2020, 1, 1), "\ud800"])
def test_a_row_with_what_json_cannot_say_is_no_example(value: object) -> None:
    text = example_text({"messages": [{"role": "user", "content": value}]})
    assert text is not None
    assert isinstance(parse_example(text), str)


def test_rows_with_the_keys_of_an_example_become_one(tmp_path: Path) -> None:
    folder = tmp_path / "lessons"
    folder.mkdir()
    said = [{"role": "user", "content": "Combien font 1 et {} ?"}, {"role": "assistant", "content": "Bien assez."}]
    rows = []
    for number in range(40):
        messages = [said[0] | {"content": said[0]["content"].format(number)}, said[1]]
        rows.append({"id": str(number), "messages": messages, "authors": ["Ann"], "licence": "CC0-1.0"})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    source = SourceConfig(kind=Kind.files, path=str(folder), language="fr")
    rules = RulesConfig(licences=["CC0-1.0"], min_bytes=1, near_duplicate_similarity=1.0)
    config = DataConfig(name="lessons", sources={"files": source}, rules=rules)
    build_corpus(config, tmp_path / "made", lambda _: None)
    found = [d for split in ("train", "validation") for d in read_documents(tmp_path / "made", split)]
    assert len(found) == 40
    texts = {canonical_json({"messages": row["messages"]}).decode() for row in rows}
    assert {document.text for document in found} == texts
    assert all(document.is_whole() and document.authors == ("Ann",) for document in found)
