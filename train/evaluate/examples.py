"""Examples of a task out of the documents that hold its conversations."""

import json
from collections.abc import Iterable, Iterator

from train.records import BadInput, Document, printable


def read_examples(documents: Iterable[Document]) -> Iterator[tuple[str, str]]:
    """(question, answer) of each document: the first of its turns and what was said to it.

    Raises BadInput if a document's text is not {"messages": [{"role", "content"}, ...]}, the user's first.
    """
    for document in documents:
        try:
            asked, answered, *_ = json.loads(document.text)["messages"]
            roles = (asked["role"], answered["role"])
            found = (str(asked["content"]), str(answered["content"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput(f"{printable(document.id)}: not a conversation that can be read ({error})") from error
        if roles != ("user", "assistant"):
            raise BadInput(f"{printable(document.id)}: the user speaks first, then the assistant; here {roles}")
        yield found
