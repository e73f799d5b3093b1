"""Python functions with what their authors say that they do: read by the parser, never run."""

import ast
import textwrap
from collections.abc import Iterator

from train.documents.archives import Archive
from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.readers.markup import messages
from train.documents.readers.plain import inside, locate, select

_LEAST_WORDS = 5  # of a description: below that it says no more than the name


def read_functions(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Each function whose docstring says something: its first paragraph and its head, and then the code without it.

    `where: {described: "True"}` chooses them. A file that this Python cannot parse is yielded whole, as not described.
    """
    for member in select(source, archive):
        raw = archive.read(member)
        where = {"url": locate(source, member), "described": "True"}
        name = inside(source, member)
        try:
            text = raw.decode("utf-8")
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            yield {**where, "id": name, "title": name, "described": "False"}, raw
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and (asked := _described(function)):
                about = {"id": f"{name}#L{function.lineno}", "title": function.name}
                yield {**where, **about}, messages(asked, _without_docstring(function, text))


def _described(function: ast.FunctionDef) -> str:
    """The first paragraph of the docstring on one line, if it says something and code follows it."""
    words = (ast.get_docstring(function) or "").partition("\n\n")[0].split()
    return " ".join(words) if len(words) >= _LEAST_WORDS and len(function.body) > 1 else ""


def _without_docstring(function: ast.FunctionDef, text: str) -> str:
    """The function as it was written, from `def` on, less its docstring."""
    lines = text.splitlines()
    said = function.body[0]
    head = lines[function.lineno - 1 : said.lineno - 1]
    body = lines[said.end_lineno : function.end_lineno]
    return textwrap.dedent("\n".join([*head, *body])).strip()
