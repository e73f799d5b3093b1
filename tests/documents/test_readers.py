"""Each layout is read whole: the text clean, and what the package says of it in the metadata."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.documents.test_archives import entry, tar_of
from train.documents import Kind, Reader, SourceConfig
from train.documents.archives import Archive
from train.documents.make import make_document
from train.documents.readers import READERS, read_archive
from train.documents.readers.markup import text_of_html
from train.records import BadInput, Document, Excluded, canonical_json


def read(tmp_path: Path, reader: str, files: dict[str, Any], **more: Any) -> list[Document | Excluded]:
    """What a reader makes of a package that holds these files."""
    members = [
        (entry(name), (what if isinstance(what, str) else json.dumps(what)).encode()) for name, what in files.items()
    ]
    given = {"kind": Kind.npm, "package": "@a/b", "version": "1", "sha256": "0" * 64, "files": ["*"], "licence": "MIT"}
    source = SourceConfig(**given | {"reader": Reader[reader], "authors": ["A"], **more})
    with Archive(tar_of(tmp_path / "a.tgz", *members)) as archive:
        return [make_document("s", source, record, raw) for record, raw in read_archive(source, archive)]


def texts(found: list[Document | Excluded]) -> list[str]:
    return [item.text for item in found if isinstance(item, Document)]


def test_every_reader_has_a_name_in_the_config() -> None:
    assert set(READERS) == set(Reader)


def test_gutenberg(tmp_path: Path) -> None:
    files = {
        "package/g/a.txt": "[Emma by Jane Austen 1816]\r\n\r\nVOLUME I\r\n\r\nEmma Woodhouse\x1a\r\n",
        "package/g/b.txt": "[The King James Bible]\n\nIn the beginning\n",
        "package/g/c.txt": "[The Ball, by G.K. Chesterton 1909]\n\nI.\n" + "\n*END THE SMALL PRINT! FOR PUBLIC*END*\n",
    }
    emma, bible, ball = read(tmp_path, "gutenberg", files)
    assert texts([emma, bible, ball]) == ["VOLUME I\n\nEmma Woodhouse\n", "In the beginning\n", "I.\n"]
    assert isinstance(emma, Document)
    assert (emma.id, emma.title, emma.authors, emma.date) == ("s/a", "Emma", ("Jane Austen",), "1816")
    assert emma.url == "pkg:npm/%40a/b@1#g/a.txt"
    assert bible.authors == ("A",)
    assert (ball.authors, getattr(ball, "title", "")) == (("G. K. Chesterton",), "The Ball")
    with pytest.raises(BadInput, match="does not begin with"):
        read(tmp_path, "gutenberg", {"package/g/d.txt": "Once upon a time"})


def test_shakespeare(tmp_path: Path) -> None:
    table = "".join(
        f"[{name}]\nurl = http://x/{name}\ncreator = Shakespeare, William\ntitle = Lear\n\n"
        for name in ("lear", "lear_f")
    )
    files = {
        "p/t/metadata.txt": table,
        "p/t/lear.txt": "I thought the king\n",
        "p/t/lear_f.txt": "I thought the King\n",
    }
    play, folio = read(tmp_path, "shakespeare", files, metadata="p/t/metadata.txt", where={"edition": "modern"})
    assert isinstance(play, Document)
    assert (play.authors, play.title, play.text) == (("William Shakespeare",), "Lear", "I thought the king\n")
    assert isinstance(folio, Excluded)
    assert folio.rule == "select"


def node(name: str, *children: Any, **attributes: str) -> dict[str, Any]:
    inside = [{"type": "text", "text": child} if isinstance(child, str) else child for child in children]
    return {"type": "element", "name": name, "attributes": attributes, "children": inside}


def sheet(kind: str, summary: str, *body: Any) -> dict[str, Any]:
    about = {
        "title": "Qui paie ?",
        "creator": "DILA",
        "description": summary,
        "date": "modified 2020-01-02",
        "type": kind,
    }
    dublin = [node(f"dc:{key}", value) for key, value in about.items()]
    link = node("ServiceEnLigne", node("Titre", "un formulaire"))
    return {"id": "F1", "children": [node("Publication", *dublin, link, *body, spUrl="https://x/F1")]}


BODY = node(
    "Texte",
    node("Titre", "Loyer"),
    node("Paragraphe", "Le locataire ", node("LienInterne", "paie"), ", sauf :"),
    node("Liste", node("Item", node("Paragraphe", "en juin,")), node("Item", node("Paragraphe", "en mai."))),
    node("Tableau", node("Rangée", node("Cellule", node("Paragraphe", "1")), node("Cellule", node("Paragraphe", "2")))),
)


def test_sheets_questions_and_summaries(tmp_path: Path) -> None:
    files = {"package/data/pro/F1.json": sheet("Question-réponse", "Le locataire, toujours.", BODY)}
    said = "Loyer\n\nLe locataire paie, sauf :\n\n- en juin,\n- en mai.\n\n1 | 2"
    (whole,) = read(tmp_path, "sheets", files)
    assert isinstance(whole, Document)
    assert whole.text == f"Qui paie ?\n\nLe locataire, toujours.\n\n{said}\n"
    assert (whole.id, whole.authors, whole.date, whole.url) == ("s/pro/F1", ("DILA",), "2020-01-02", "https://x/F1")
    (asked,) = texts(read(tmp_path, "questions", files, where={"type": "Question-réponse"}))
    assert json.loads(asked)["messages"] == [
        {"role": "user", "content": "Qui paie ?"},
        {"role": "assistant", "content": said},
    ]
    assert asked.encode() == canonical_json(json.loads(asked))
    assert texts(read(tmp_path, "questions", files, where={"type": "Fiche pratique"})) == []
    (summary,) = texts(read(tmp_path, "summaries", files, where={"summary_said": "own words"}))
    turns = [turn["content"] for turn in json.loads(summary)["messages"]]
    assert turns == [f"Résume : Qui paie ?\n\n{said}", "Le locataire, toujours."]


def test_a_summary_that_stands_in_the_text_is_none_of_its_own(tmp_path: Path) -> None:
    files = {"package/data/pro/F1.json": sheet("Fiche pratique", "Le locataire paie", BODY)}
    (found,) = read(tmp_path, "summaries", files, where={"summary_said": "own words"})
    assert isinstance(found, Excluded)
    assert found.value == "summary_said=verbatim"


def test_labour(tmp_path: Path) -> None:
    sections = [
        {"title": "Durée", "html": "<p>Dix&nbsp;jours <strong>au&#8217;plus</strong>.</p><script>alert(1)</script>"},
        {"title": "À lire sur ce site", "html": "<p>Autre chose</p>"},
    ]
    files = {
        "p/f.json": [
            {
                "pubId": "a1",
                "url": "https://x",
                "title": "Le congé",
                "date": "03/07/2025",
                "intro": "<p>Oui.</p>",
                "sections": sections,
            }
        ]
    }
    (found,) = read(tmp_path, "labour", files)
    assert isinstance(found, Document)
    assert found.text == "Le congé\n\nOui.\n\nDurée\nDix jours au\u2019plus.\n"
    assert found.date == "2025-07-03"


def test_law(tmp_path: Path) -> None:
    article = {"type": "article", "data": {"num": "1", "content": "<p>La <br/>paix.</p>", "id": "KALIARTI1"}}
    text = {
        "type": "section",
        "data": {"id": "KALITEXT1", "title": "Accord", "modifDate": "2999-01-01"},
        "children": [article],
    }
    agreement = {"type": "convention collective", "data": {"id": "KALICONT1", "shortTitle": "Bois", "title": "Le bois"},
                 "children": [{"type": "section", "data": {"title": "Textes"}, "children": [text]}]}  # fmt: skip
    (found,) = read(tmp_path, "law", {"p/KALICONT1.json": agreement})
    assert isinstance(found, Document)
    assert (found.id, found.title, found.date) == ("s/KALICONT1/KALITEXT1", "Bois - Accord", "")
    assert found.text == "Bois - Accord\n\nArticle 1\nLa\npaix.\n"
    rule = {"type": "article", "data": {"num": "L1", "texteHtml": "<p>Nul ne ment.</p>", "dateDebut": 1451606400000}}
    section = {"type": "section", "data": {"id": "LEGISCTA1", "title": "Titre I"}, "children": [rule]}
    code = {"type": "code", "data": {"id": "LEGITEXT1", "title": "Code"}, "children": [section]}
    (found,) = read(tmp_path, "law", {"p/LEGITEXT1.json": code})
    assert isinstance(found, Document)
    assert (found.title, found.text) == ("Code, Titre I", "Code, Titre I\n\nArticle L1\nNul ne ment.\n")
    assert found.date == "2016-01-01"  # date -d @1451606400


def test_documentation(tmp_path: Path) -> None:
    head = "..\n      Licensed under the Apache License, Version 2.0\n\n      no warranty\n\n"
    page = head + ".. _label:\n\n=====\nModel\n=====\n\nText.\n\n.. raw:: html\n\n   <div>x</div>\n\nMore.\n"
    (found,) = read(tmp_path, "documentation", {"p-1/docs/a.rst": page})
    assert isinstance(found, Document)
    assert found.text == ".. _label:\n\n=====\nModel\n=====\n\nText.\n\nMore.\n"
    assert (found.id, found.title) == ("s/docs/a.rst", "Model")
    (plain,) = read(tmp_path, "documentation", {"p-1/docs/b.md": "# About it\n\nText\n"})
    assert getattr(plain, "title", "") == "About it"


def test_translations_name_both_and_take_the_first(tmp_path: Path) -> None:
    credit = "CC-BY 2.0 (France) Attribution: tatoeba.org #1 (CM) & #{} (cuey(a)yotl)"
    lines = f"Go.\tVe.\t{credit.format(2)}\nGo.\tVete.\t{credit.format(3)}\n"
    first, second = read(tmp_path, "translations", {"n/spa.tsv": lines}, where={"first": "True"})
    assert isinstance(first, Document)
    assert (first.id, first.authors) == ("s/1-2", ("CM", "cuey(a)yotl"))
    assert [turn["content"] for turn in json.loads(first.text)["messages"]] == ["Translate into Spanish: Go.", "Ve."]
    assert isinstance(second, Excluded)
    with pytest.raises(BadInput, match="credit"):
        read(tmp_path, "translations", {"n/spa.tsv": "Go.\tVe.\tsomebody\n"})


def test_conversations_end_with_an_answer(tmp_path: Path) -> None:
    def turn(sender: str, *said: str) -> list[dict[str, str]]:
        return [{"text": text, "sender": sender} for text in said]

    talk = {
        "messages": [turn("x", "Hi", "there"), turn("y", "Hello"), turn("y", "you"), turn("x", "Bye")],
        "start": "2018-04-20T0",
        "prompt": "?",
    }
    (found,) = read(tmp_path, "conversations", {"c/d.json": {"id-1": talk}}, where={"speakers": "2"})
    assert isinstance(found, Document)
    assert [turn["content"] for turn in json.loads(found.text)["messages"]] == ["Hi\nthere", "Hello\nyou"]
    assert found.date == "2018-04-20"


SOURCE = '''
class A:
    @property
    def area(self, unit="m"):
        """Gives the area in the unit that is asked for.

        More of it.
        """
        side = 2  # a comment
        return side**2

def silent():
    """Too short."""
    return 1
'''


def test_functions_are_parsed_and_never_run(tmp_path: Path) -> None:
    files = {"p-1/p/a.py": SOURCE + "\nopen('/tmp/fusee-code-ran', 'w')\n", "p-1/p/b.py": "print 'old'\n"}
    area, old = read(tmp_path, "functions", files, where={"described": "True"})
    assert isinstance(area, Document)
    asked, code = (turn["content"] for turn in json.loads(area.text)["messages"])
    assert asked == "Gives the area in the unit that is asked for."
    assert code == 'def area(self, unit="m"):\n    side = 2  # a comment\n    return side**2'
    assert isinstance(old, Excluded)
    assert not Path("/tmp/fusee-code-ran").exists()


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<table><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></table>", "a | b\nc"),
        ("<ul><li>one</li><li><p>two</p></li></ul>after", "- one\n- two\n\nafter"),
        ("a<br>b &lt;c&gt; d&amp;#8217;e", "a\nb <c> d\u2019e"),
        ("<p>x\x01</p>\n\n\n<p></p><p>y</p>", "x\n\ny"),
        ("<p>never closed <b>bold", "never closed bold"),
    ],
)
def test_text_of_html(markup: str, text: str) -> None:
    assert text_of_html(markup) == text


@pytest.mark.parametrize("reader", ["sheets", "law", "labour", "conversations"])
@pytest.mark.parametrize("content", ["[1]", "nonsense", '{"a": 1}', "[" * 100_000])
def test_another_layout_is_said_in_a_line(tmp_path: Path, reader: str, content: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, reader, {"a/b/c.json": content})
    assert "\n" not in str(caught.value)


def test_a_stream_ends_where_it_is_told_and_licences_are_translated(tmp_path: Path) -> None:
    from train.documents.sources import read_source

    folder = tmp_path / "dataset" / "data"
    folder.mkdir(parents=True)
    with io.StringIO() as lines:
        for number in range(9):
            lines.write(json.dumps({"text": "x" * 100, "license": "Public Domain" if number else "CC-By"}) + "\n")
        (folder / "train-00000.jsonl").write_text(lines.getvalue(), "utf-8")
    source = SourceConfig(
        kind=Kind.huggingface, path=str(folder.parent), revision="main", most_bytes=250,
        fields={"licence": "license"}, licence_names={"Public Domain": "CC-PDDC"},
    )  # fmt: skip
    found = [make() for make in read_source("hub", source, tmp_path)]
    assert [getattr(item, "licence", "") for item in found] == ["CC-By", "CC-PDDC", "CC-PDDC"]
