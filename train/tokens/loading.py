"""A tokenizer from its file, which may be anybody's: what it states is looked at before a text is given to it."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from train.records import BadInput, read_text

_MOST_GROWTH = 64  # times its length that a text may reach by replacements
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in `folder`; a file that is not one, or asks for what no text needs, is the user's to mend."""
    path = folder / "tokenizer.json"
    try:
        text = read_text(path)
        table = json.loads(text)
        for part in _PARTS:
            _check(list(_steps(table.get(part))))
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises bare Exception
        raise BadInput(f"{path}: not a tokenizer that can be read ({str(error)[:200]})") from error
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()  # a sentence encoder's file may state either, and texts are to be read whole
    tokenizer.no_truncation()
    return tokenizer


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """A part of the tokenizer and all that it is made of, in any depth."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _steps(value)
    elif isinstance(part, list):
        for value in part:
            yield from _steps(value)


def _check(steps: list[dict[str, Any]]) -> None:
    """Raises ValueError where texts would grow without bounds, or a template names a token that it does not state."""
    if math.prod(_growth(step) for step in steps) > _MOST_GROWTH:
        raise ValueError(f"its replacements may make a text more than {_MOST_GROWTH} times as long")
    for step in steps:
        if step.get("type") == "TemplateProcessing":
            pieces = _steps([step["single"], step["pair"]])
            for name in (piece["SpecialToken"]["id"] for piece in pieces if "SpecialToken" in piece):
                if name not in step["special_tokens"]:
                    raise ValueError(f"its template names {name!r}, which it does not state")


def _growth(step: dict[str, Any]) -> float:
    """How many times as long a text may become by one step."""
    if step.get("type") != "Replace":
        return 1
    replaced = step["pattern"].get("String")  # else a regular expression, which may be of one character
    if replaced == "":
        raise ValueError("replaces what is no character")
    return max(1.0, len(step["content"]) / len(replaced or " "))
