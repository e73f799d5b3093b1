"""French law in force: collective agreements (kali-data) and codes (legi-data), each a tree of sections and articles.

A document is what was agreed or enacted as one piece: in an agreement each of its texts (an identifier KALITEXT...), in
a code the smallest section that holds articles, with the headings above it as its title.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from train.documents.archives import Archive
from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.readers.markup import paragraphs, read_json_member, text_of_html, tidy
from train.documents.readers.plain import select

Node = dict[str, Any]

_SITE = "https://www.legifrance.gouv.fr"


def read_law(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """The agreements and codes in the files that the patterns choose."""
    for member in select(source, archive):
        root = read_json_member(archive, member)
        if root["type"] == "code":
            yield from _code(root, [root["data"]["title"]], root["data"]["id"])
        else:
            yield from _agreement(root, root["data"]["id"], root["data"].get("shortTitle") or root["data"]["title"])


def _agreement(node: Node, whole: str, name: str) -> Iterator[tuple[Record, bytes]]:
    """Each text of a collective agreement, and what stands beside them; a text may belong to several."""
    for child in node.get("children", []):
        data = child["data"]
        identity = str(data.get("id", ""))
        if identity.startswith("KALITEXT") or child["type"] == "article":
            title = tidy(f"{name} - {data.get('title') or data.get('num') or 'article'}").replace("\n", " ")
            kind = "id" if identity.startswith("KALITEXT") else "article"
            about = {"id": f"{whole}/{identity}", "title": title, "date": _day(data.get("modifDate"))}
            yield {**about, "url": f"{_SITE}/conv_coll/{kind}/{identity}"}, paragraphs(title, *_pieces(child))
        else:
            yield from _agreement(child, whole, name)


def _code(node: Node, path: list[str], code: str) -> Iterator[tuple[Record, bytes]]:
    """Each section of a code with the articles that stand directly in it."""
    articles = [child for child in node["children"] if child["type"] == "article"]
    if articles:
        data = node["data"]
        begun = max(int(article["data"].get("dateDebut") or 0) for article in articles)
        about = {"id": f"{code}/{data['id']}", "title": ", ".join(path), "date": _day_of_milliseconds(begun)}
        pieces = (piece for article in articles for piece in _pieces(article))
        yield {**about, "url": f"{_SITE}/codes/section_lc/{code}/{data['id']}/"}, paragraphs(", ".join(path), *pieces)
    for child in node["children"]:
        if child["type"] != "article":
            yield from _code(child, [*path, tidy(child["data"]["title"])], code)


def _pieces(node: Node) -> Iterator[str]:
    """Headings and articles below a node, in their order."""
    data = node["data"]
    if node["type"] == "article":
        number = f"Article {data['num']}" if data.get("num") else ""
        heading = " - ".join(part for part in (number, tidy(str(data.get("surtitre") or ""))) if part)
        text = text_of_html(str(data.get("texteHtml") or data.get("content") or ""))
        yield f"{heading}\n{text}" if text else ""
        return
    for child in node.get("children", []):
        if child["type"] != "article":
            yield tidy(str(child["data"].get("title") or ""))
        yield from _pieces(child)


def _day(date: Any) -> str:
    """A date as it stands; one of another century (2222, 2999) stands for none."""
    return str(date)[:10] if str(date or "")[:2] in {"19", "20"} else ""


def _day_of_milliseconds(since_1970: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=since_1970)).date().isoformat()
