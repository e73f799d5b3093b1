"""Examples to tune on, as documents: the text is one JSON object in canonical form (RFC 8785).

    {"messages":[{"content":"...","role":"user"},{"content":"...","role":"assistant"}]}        what is to be answered
    {"chosen":"...","prompt":[{"content":"...","role":"user"}],"rejected":"..."}                which answer is better

So an example has an author, a licence, an origin and a digest as any text has. What the rules read of it are its words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from train.documents.labelled import labelled_text, parse_labelled
from train.records import parse_canonical, text_of_row

ROLES = ("system", "user", "assistant")
_KEYS = ("messages", "prompt", "chosen", "rejected")


class Message(NamedTuple):
    """One turn: who says what."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """`prompt`: the turns before the last answer; `answer`: the one to learn; `rejected`: a worse one, or nothing.

    Earlier answers in `prompt` are learned as well where there is no worse one.
    """

    prompt: tuple[Message, ...]
    answer: str
    rejected: str = ""

    @property
    def is_preference(self) -> bool:
        """Whether two answers are compared."""
        return bool(self.rejected)

    def words(self) -> str:
        """All that is said in it."""
        answers = [self.answer, self.rejected] if self.rejected else [self.answer]
        return "\n\n".join([*(message.content for message in self.prompt), *answers])


def parse_example(text: str) -> Example | str:
    """The example in a document's text, or why it is none."""
    value = parse_canonical(text)
    if isinstance(value, str):
        return value
    if set(value) == {"messages"}:
        return _dialogue(_messages(value["messages"]))
    if set(value) == {"prompt", "chosen", "rejected"}:
        return _preference(_messages(value["prompt"]), value["chosen"], value["rejected"])
    return "holds neither `messages` nor `prompt`, `chosen` and `rejected`"


def _dialogue(turns: list[Message] | None) -> Example | str:
    if turns is None:
        return "messages: not a list of {role, content}, the roles system, user or assistant"
    if not turns or turns[-1].role != "assistant" or not turns[-1].content.strip():
        return "without an answer: the last message must be the assistant's, and not empty"
    return Example(tuple(turns[:-1]), turns[-1].content)


def _preference(turns: list[Message] | None, chosen: Any, rejected: Any) -> Example | str:
    if not turns:
        return "prompt: not a list of {role, content}, the roles system, user or assistant"
    if not all(isinstance(answer, str) and answer.strip() for answer in (chosen, rejected)) or chosen == rejected:
        return "without two answers: chosen and rejected must be texts, not empty and not the same"
    return Example(tuple(turns), chosen, rejected)


def words_of(text: str) -> str:
    """What a text says: of an example its words without the JSON around them, of any other text all of it."""
    if text.startswith(('{"messages":', '{"chosen":')):
        found = parse_example(text)
        return found.words() if isinstance(found, Example) else text
    if text.startswith(('{"tags":', '{"label":', '{"answer":')):
        labelled = parse_labelled(text)
        return text if isinstance(labelled, str) else labelled.text
    return text


def example_text(record: Mapping[str, Any]) -> str | None:
    """A row of a table as the text of an example, if it has the keys of one; whether it is one, the rules judge."""
    keys = [key for key in _KEYS if record.get(key) is not None]
    if set(keys) not in ({"messages"}, {"prompt", "chosen", "rejected"}):
        return labelled_text(record)
    return text_of_row({key: record[key] for key in keys})


def _messages(value: Any) -> list[Message] | None:
    """The turns, if that is what they are."""
    if not isinstance(value, list):
        return None
    for turn in value:
        if not isinstance(turn, dict) or set(turn) != {"role", "content"} or turn["role"] not in ROLES:
            return None
        if not isinstance(turn["content"], str):
            return None
    return [Message(turn["role"], turn["content"]) for turn in value]
