"""Texts with labels, as documents that an encoder learns from: one JSON object in canonical form (RFC 8785).

{"tags":["NOUN",null],"words":["cats","."]}                                    a tag for some or all of the words
{"label":"particuliers","passage":"..."}                                        one for the whole
{"answer":"25 years","passage":"... 25 years ...","question":"...","start":4}   a part of the passage, by characters
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from train.records import parse_canonical, text_of_row

_KEYS = ({"tags", "words"}, {"label", "passage"}, {"answer", "passage", "question", "start"})


@dataclass(frozen=True)
class Tagged:
    """Words, and the tag of each, None where nobody said one."""

    purpose: ClassVar[str] = "tag"
    words: tuple[str, ...]
    tags: tuple[str | None, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags that were said."""
        return tuple(tag for tag in self.tags if tag is not None)

    @property
    def text(self) -> str:
        """All that is read."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Classified:
    """A text and what it is one of."""

    purpose: ClassVar[str] = "classify"
    passage: str
    label: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The one label."""
        return (self.label,)

    @property
    def text(self) -> str:
        """All that is read."""
        return self.passage


@dataclass(frozen=True)
class Extracted:
    """A question, and the characters of a passage that answer it: `answer`, from `start` on."""

    purpose: ClassVar[str] = "extract"
    question: str
    passage: str
    start: int
    answer: str

    @property
    def labels(self) -> tuple[str, ...]:
        """None: an answer is a place."""
        return ()

    @property
    def text(self) -> str:
        """All that is read."""
        return f"{self.question}\n\n{self.passage}"


Labelled = Tagged | Classified | Extracted


def parse_labelled(text: str) -> Labelled | str:
    """The labels and what they are of, or why a document's text holds none."""
    value = parse_canonical(text)
    if isinstance(value, str):
        return value
    if set(value) == _KEYS[0]:
        return _tagged(value["words"], value["tags"])
    texts = {name: value.get(name) for name in ("label", "passage", "question", "answer") if name in value}
    if set(value) not in _KEYS[1:]:
        return (
            "holds neither `words` and `tags`, nor a `passage` with a `label`, or a `question`, an `answer`, a `start`"
        )
    if not all(isinstance(one, str) and one.strip() for one in texts.values()):
        return f"{', '.join(texts)}: must be texts, and not empty"
    if "label" in value:
        return Classified(value["passage"], value["label"])
    found = Extracted(value["question"], value["passage"], value["start"], value["answer"])
    place = found.start if isinstance(found.start, int) and found.start >= 0 else len(found.passage)
    return found if found.passage[place:].startswith(found.answer) else "the answer does not stand at its start"


def _tagged(words: Any, tags: Any) -> Tagged | str:
    if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
        return "words and tags: must be lists, as long as each other"
    if not all(isinstance(word, str) and word.split() == [word] for word in words):
        return "words: must be texts without spaces, and not empty"
    if not all(tag is None or (isinstance(tag, str) and tag.strip()) for tag in tags) or not any(tags):
        return "tags: must be texts or null, and one at least a text"
    return Tagged(tuple(words), tuple(tags))


def labelled_text(record: Mapping[str, Any]) -> str | None:
    """A row of a table as the text of labels, if it has the keys of one."""
    for keys in _KEYS:
        if all(record.get(key) is not None for key in keys):
            return text_of_row({key: record[key] for key in keys})
    return None
