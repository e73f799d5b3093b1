"""Which training documents hold these words, who wrote them, under which licence, and at which steps they were seen.

A model that was tuned learned from its examples, and before that from all that its base had read: both are looked into,
as far as the base is at hand.
"""

import difflib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.documents import withdrawn
from train.index import Place
from train.libre.texts import Source, TracedText, open_text
from train.records import BadInput, Json, base_of, printable, read_text
from train.release import read_release
from train.tokens import digest_tokenizer, encode_document, load_tokenizer
from train.tune import Base, open_base

WHAT_IT_MEANS = (
    "A match shows that these words stand in a training text. It does not show that the text caused them: common "
    "phrases stand in many texts, and a model can say what it never read."
)


_PASSAGE = 8  # tokens: fewer in a row are common phrases


@dataclass(frozen=True)
class Passage:
    """Words of the query that stand in the training texts: how many tokens, how often, and in which documents."""

    text: str
    tokens: int
    count: int
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Answer:
    """`verbatim`: the share of the query's tokens that lie in a passage of at least `at_least` tokens. `looked_into`:
    which texts, in words; `not_looked_into`: what else the model has read, in a sentence, or nothing."""

    query_tokens: int
    at_least: int
    verbatim: float
    looked_into: tuple[str, ...]
    not_looked_into: str
    passages: tuple[Passage, ...]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"what_it_means": WHAT_IT_MEANS}


class Trace:
    """A release opened for tracing. `texts`: what it was trained on, then what its base was, and so on."""

    def __init__(self, texts: Sequence[TracedText], not_looked_into: str) -> None:
        self.texts, self.not_looked_into = texts, not_looked_into
        self._tokenizer = load_tokenizer(texts[0].release)

    @property
    def looked_into(self) -> tuple[str, ...]:
        """The texts, in words."""
        return tuple(text.name for text in self.texts)

    def text(self, text: str, at_least: int | None = _PASSAGE, most: int = 10) -> Answer:
        """The longest passages of `text` in the training texts, so many tokens at least and `most` of them at most.

        `at_least=None`: 8, or all those of a shorter text, which is then looked for whole.
        """
        if (at_least is not None and at_least < 1) or most < 1:
            raise BadInput("a passage has at least one token, and at least one is shown")
        whole = text.encode("utf-8", "replace").decode()  # a command line may bring half a character
        spaced = whole if whole[:1].isspace() else f" {whole}"  # as words stand within a text, not at its head
        pieces = encode_document(self._tokenizer, spaced) if whole.strip() else ()
        ids = [token for piece in pieces for token in piece]
        at_least = min(_PASSAGE, max(1, len(ids))) if at_least is None else at_least
        query, covered = np.array(ids, np.int64), np.zeros(len(ids), bool)
        found: dict[tuple[int, int], list[tuple[TracedText, Place]]] = defaultdict(list)
        for one in self.texts if ids else ():
            for place in one.index.passages(query, at_least):
                covered[place.start : place.start + place.length] = True
                found[place.start, place.length].append((one, place))
        longest = sorted(found, key=lambda span: -span[1])[:most]
        shown = tuple(self._passage(ids[start : start + length], found[start, length]) for start, length in longest)
        share = float(covered.mean()) if ids else 0.0
        return Answer(len(ids), at_least, share, self.looked_into, self.not_looked_into, shown)

    def author(self, name: str) -> list[Source]:
        """The training documents of an author, whatever the case of the name."""
        return [source for text in self.texts for source in text.by(name)]

    def documents(self) -> list[Source]:
        """All training documents."""
        return [source for text in self.texts for source in text.documents()]

    def authors(self) -> list[str]:
        """All authors of the training documents."""
        return sorted({author for text in self.texts for author in text.authors()})

    def _passage(self, tokens: list[int], found: list[tuple[TracedText, Place]]) -> Passage:
        sources = tuple(text.at(start, len(tokens)) for text, place in found for start in place.places)
        words = printable(str(self._tokenizer.decode(tokens)))
        return Passage(words, len(tokens), sum(place.count for _, place in found), sources)


def open_trace(release: Path, cache: Path, bases: Sequence[Path] = ()) -> Trace:
    """Open a release; indexes are made once, under `cache`.

    `bases`: the model that its weights began from, the one that those began from, and so on. One that is not given, or
    came without its texts, is not looked into, and the answers say so.

    Raises BadInput if texts are not those that a release states, or a base is another.
    """
    row, rest = _began_from(release, read_release(release)), list(bases)
    texts = [open_text(release, cache, "the examples it was tuned on" if row else "the training texts", 0)]
    while row is not None:
        name = printable(str(row.get("release")))[:80]
        unread = f"Not looked into: what its base {name} has read"
        if not rest:
            return Trace(texts, f"{unread} (--base RELEASE gives it).")
        base = _open(rest.pop(0), row, release)
        if base.record is None:
            return Trace(texts, f"{unread}, for it came without its texts.")
        if withdrawn(base.folder):
            return Trace(texts, f"{unread}, for texts were withdrawn from it.")
        row = _began_from(base.folder, base.record)
        read = f"the examples that its base {name} was tuned on" if row else f"the training texts of its base {name}"
        texts.append(open_text(base.folder, cache, read, len(texts)))
    return Trace(texts, "")


def _began_from(release: Path, record: Json) -> Json | None:
    """The row of its lineage that names the model which its weights began from; None if they began from a seed."""
    try:
        return base_of(record)
    except (KeyError, TypeError) as error:
        raise BadInput(f"{release}/release.json: lacks {printable(str(error))}") from error


def _open(folder: Path, row: Json, release: Path) -> Base:
    """The base that a row of a lineage names. Raises BadInput if what lies in `folder` is not it."""
    shown = printable(str(folder))
    if not folder.is_dir():
        raise BadInput(f"--base {shown}: there is no such folder")
    base = open_base(folder, str(row.get("digest")))
    if digest_tokenizer(folder) != digest_tokenizer(release):
        raise BadInput(f"--base {shown}: has another tokenizer than the model that was tuned from it")
    return base


def render(answer: Answer) -> str:
    """The answer as a person reads it."""
    lines = [
        f"{answer.query_tokens} tokens; {100 * answer.verbatim:.0f} % of them stand in "
        f"{' or '.join(answer.looked_into)}, in passages of {answer.at_least} tokens or more"
    ]
    for number, passage in enumerate(answer.passages, 1):
        times = "once" if passage.count == 1 else f"{passage.count} times"
        lines += ["", f"{number}. {passage.tokens} tokens, {times}: “{passage.text.strip()}”"]
        for source in passage.sources:
            who = printable("; ".join(source.authors) or "unknown")
            lines += [
                f"   {who}: {printable(source.title or source.id)} ({printable(source.date or 'no date')}), "
                f"{printable(source.licence)}, {printable(source.url or source.id)}",
                f"   … {source.before}[…]{source.after} …",
                f"   {_seen(source, answer.looked_into)}",
            ]
    unread = [answer.not_looked_into] if answer.not_looked_into else []
    return "\n".join([*lines, "", *unread, WHAT_IT_MEANS])


def render_author(name: str, trace: Trace) -> str:
    """All training documents of an author; if there are none, whose names come near."""
    sources, unread = trace.author(name), [trace.not_looked_into] if trace.not_looked_into else []
    if not sources:
        near = difflib.get_close_matches(name, trace.authors(), n=3, cutoff=0.4)
        hint = f"; authors with names like it: {', '.join(map(printable, near))}" if near else ""
        return "\n".join([f"no training document is by {printable(name)}{hint}", *unread])
    lines = [f"{len(sources)} training documents are by {printable(name)}"]
    for source in sources:
        lines.append(
            f"  {printable(source.title or source.id)} ({printable(source.date or 'no date')}), "
            f"{printable(source.licence)}, {printable(source.url or source.id)}: {_seen(source, trace.looked_into)}"
        )
    return "\n".join([*lines, *unread])


def _seen(source: Source, texts: Sequence[str]) -> str:
    """When it was seen, and, where there are several texts, in which of them it is."""
    which = f"in {texts[source.where]}, " if len(texts) > 1 else ""
    return f"{which}seen at {source.steps} steps, from {source.first_step} to {source.last_step}"


def text_of(file: Path) -> str:
    """The text in a file. Raises BadInput if it cannot be read as UTF-8."""
    try:
        return read_text(file)
    except (OSError, ValueError) as error:
        raise BadInput(f"{printable(str(file))}: cannot be read as a text ({error})") from error
