"""The head of a card, between two lines of three dashes: YAML, as Hugging Face reads it."""

import re
from typing import Any

import yaml

from train.records import BadInput, printable

_LARGEST = 2**16  # characters


def front_matter(card: str) -> dict[str, Any]:
    """The names and values in the head of a card; none if it has no head.

    Raises BadInput if it is no YAML, or too long to be what it should be.
    """
    found = re.match(r"---[ \t]*\r?\n(.*?)^---[ \t]*$", card, re.DOTALL | re.MULTILINE)
    if found is None:
        return {}
    if len(found[1]) > _LARGEST:
        raise BadInput(f"the head of the card is longer than {_LARGEST} characters")
    try:
        values = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"the head of the card is no YAML ({printable(str(error).splitlines()[0])})") from error
    if not isinstance(values, dict | None):
        raise BadInput("the head of the card holds no names and values")
    return {str(name): value for name, value in (values or {}).items()}
