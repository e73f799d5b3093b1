"""Markdown from values that come from outside."""

from typing import Any

from train.records import printable


def text(value: Any) -> str:
    """A value from outside as plain text on one line: no control characters, no markup."""
    plain = printable(str(value))
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in plain)


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
