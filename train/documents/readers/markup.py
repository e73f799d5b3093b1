"""Text out of markup: HTML by the standard library's parser, and what the texts of all readers have in common."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from train.documents.archives import Archive
from train.records import BadInput, canonical_json

_BLOCKS = frozenset({
    *("address", "article", "aside", "blockquote", "br", "caption", "dd", "div", "dl", "dt", "figure", "footer"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"),
})  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_OPEN = frozenset({"br", "hr", "li", "tr"})  # those that open a line and close none
_SILENT = frozenset({"script", "style", "button", "svg", "noscript", "template"})


class _Text(HTMLParser):
    """Collects what a reader would see: blocks on lines of their own, cells parted by bars, items with a dash."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block opens a line."""
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n")
        elif tag in {"td", "th"}:
            self.parts.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        """A block closes its line."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS - _OPEN:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Text: line breaks in it are the markup's, not the text's."""
        if not self._silent:
            self.parts.append(re.sub(r"\s+", " ", data))


def text_of_html(markup: str) -> str:
    """The text of a piece of HTML, tidy."""
    parser = _Text()
    parser.feed(markup)
    parser.close()
    return tidy("".join(parser.parts))


def tidy(text: str) -> str:
    """Plain spaces, none doubled; at most one empty line in a row; no control characters, no dash or bar alone.

    What was escaped twice is unescaped here.
    """
    text = _CONTROL.sub("", unescape(text))
    lines = (re.sub(r"[ \t\u00a0\u202f\u200b]+", " ", line).strip() for line in text.splitlines())
    lines = (re.sub(r"^(\| ?)+", "", line) for line in lines)
    kept = re.sub(r"^-\n+(?=[^\n-])", "- ", "\n".join(lines), flags=re.MULTILINE)  # a dash and its item
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"^[-|]$", "", kept, flags=re.MULTILINE)).strip()


def paragraphs(*parts: str) -> bytes:
    """The parts that are not empty, an empty line between them, as UTF-8 that ends in a line."""
    text = "\n\n".join(part.strip() for part in parts if part.strip())
    return text.encode("utf-8", "replace") + b"\n" if text else b""


def read_json_member(archive: Archive, name: str) -> Any:
    """The value in a JSON file of the archive."""
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{archive.path.name}: {name} cannot be read as JSON ({error})") from error


def messages(*turns: str) -> bytes:
    """A conversation in the one form that tuning reads: {"messages": [{"content", "role"}, ...]} as RFC 8785 has it.

    The turns are the user's and the assistant's by turns, the user's first.
    """
    roles = ("user", "assistant")
    said = (turn.encode("utf-8", "replace").decode() for turn in turns)
    return canonical_json({"messages": [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(said)]})
