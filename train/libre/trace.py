"""Which training documents hold these words, who wrote them, under which licence, and at which steps they were seen.

The tokens are made again from the documents and the tokenizer of the release, and must have the digest that it states.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import build_objective, order
from train.config import Config, read_config
from train.documents import read_documents, withdrawn
from train.index import Index, Place, build_index, open_index
from train.libre.tokens import write_tokens
from train.records import BadInput, Document, count_of, printable
from train.release import read_release
from train.tokens import TokenStore, encode_document, load_tokenizer, load_vocabulary
from train.tune import TuneName, rows_of

WHAT_IT_MEANS = (
    "A match shows that these words stand in a training text. It does not show that the text caused them: common "
    "phrases stand in many texts, and a model can say what it never read."
)


@dataclass(frozen=True)
class Source:
    """A training document that holds a passage, the words around it, and the steps that saw the document."""

    id: str
    authors: tuple[str, ...]
    title: str
    date: str
    licence: str
    url: str
    before: str
    after: str
    first_step: int
    last_step: int
    steps: int


@dataclass(frozen=True)
class Passage:
    """Words of the query that stand in the training text: how many tokens, how often, and in which documents."""

    text: str
    tokens: int
    count: int
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Answer:
    """`verbatim`: the share of the query's tokens that lie in a passage of at least `at_least` tokens."""

    query_tokens: int
    at_least: int
    verbatim: float
    passages: tuple[Passage, ...]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"what_it_means": WHAT_IT_MEANS}


class Trace:
    """A release opened for tracing."""

    def __init__(self, release: Path, store: TokenStore, index: Index) -> None:
        self.release, self._store, self._index = release, store, index
        self._tokenizer = load_tokenizer(release)
        self._documents = [_without_text(document) for document in read_documents(release / "data", "train")]
        self._seen = _seen_of(release, store)

    def text(self, text: str, at_least: int = 8, most: int = 10) -> Answer:
        """The longest passages of `text` in the training text, so many tokens at least and `most` of them at most."""
        if at_least < 1 or most < 1:
            raise BadInput("a passage has at least one token, and at least one is shown")
        spaced = text if text[:1].isspace() else f" {text}"  # as words stand within a text, not at its head
        ids = [token for piece in encode_document(self._tokenizer, spaced) for token in piece]
        query = np.array(ids, np.int64)
        places = self._index.passages(query, at_least) if len(query) else []
        covered = np.zeros(len(query), bool)
        for place in places:
            covered[place.start : place.start + place.length] = True
        shown = tuple(self._passage(query, place) for place in places[:most])
        return Answer(len(query), at_least, float(covered.mean()) if len(query) else 0.0, shown)

    def author(self, name: str) -> list[Source]:
        """The training documents of an author, whatever the case of the name."""
        wanted = name.casefold()
        numbers = [
            n for n, document in enumerate(self._documents) if any(wanted == a.casefold() for a in document.authors)
        ]
        return [self._source(number, "", "") for number in numbers]

    def documents(self) -> list[Source]:
        """All training documents."""
        return [self._source(number, "", "") for number in range(len(self._documents))]

    def authors(self) -> list[str]:
        """All authors of the training documents."""
        return sorted({author for document in self._documents for author in document.authors})

    def _passage(self, query: "np.ndarray[Any, np.dtype[np.int64]]", place: Place) -> Passage:
        words = self._decode(query[place.start : place.start + place.length].tolist())
        sources = tuple(self._at(start, place.length) for start in place.places)
        return Passage(words, place.length, place.count, sources)

    def _at(self, start: int, length: int, around: int = 12) -> Source:
        number = int(self._store.document_at(np.array([start]))[0])
        first, last = int(self._store.offsets[number]) + 1, int(self._store.offsets[number + 1])
        before = self._decode(self._store.read(max(first, start - around), start).tolist()) if start > first else ""
        end = start + length
        after = self._decode(self._store.read(end, min(last, end + around)).tolist()) if end < last else ""
        return self._source(number // self._seen.parts, before, after)

    def _source(self, number: int, before: str, after: str) -> Source:
        document = self._documents[number]
        steps = self._seen.steps(number)
        return Source(
            id=document.id, authors=document.authors, title=document.title, date=document.date,
            licence=document.licence, url=document.url, before=before, after=after,
            first_step=steps[0] if steps else 0, last_step=steps[-1] if steps else 0, steps=len(steps),
        )  # fmt: skip

    def _decode(self, tokens: list[int]) -> str:
        return printable(str(self._tokenizer.decode(tokens)))


class _Seen:
    """At which steps a document was seen: the order of the sequences, computed again.

    `holding`: the sequences, (first, last), that hold a token of a document; each document has so many `parts`.
    """

    def __init__(self, config: Config, count: int, holding: Callable[[int], tuple[int, int]], parts: int = 1) -> None:
        self._per_step, self._holding, self.parts = config.optim.sequences_per_step, holding, parts
        self._sequences = np.concatenate(
            [
                order(config.run.seed, step, sequences=count, sequences_per_step=self._per_step)
                for step in range(config.optim.steps)
            ]
        )

    def steps(self, document: int) -> list[int]:
        """The steps, from 1, whose batch held a token of this document."""
        first, last = self._holding(document)
        places = np.flatnonzero((self._sequences >= first) & (self._sequences <= last))
        steps: list[int] = np.unique(places // self._per_step + 1).tolist()
        return steps


def _seen_of(release: Path, store: TokenStore) -> _Seen:
    config = read_config(release / "recipe" / "config.yaml")
    vocabulary = load_vocabulary(release)
    if config.tune.on:
        parts = 2 if config.tune.name is TuneName.dpo else 1
        rows = rows_of(config.tune, store.lengths(), config.model.seq_len, text_to_text=bool(vocabulary.sentinels))
        place = {example: number for number, row in enumerate(rows) for example in row}
        return _Seen(config, len(rows), lambda document: (place[document], place[document]), parts)
    text, read = build_objective(config.objective, vocabulary).window(config.model.seq_len)

    def holding(document: int) -> tuple[int, int]:
        start, stop = int(store.offsets[document]), int(store.offsets[document + 1])
        return max(0, -(-(start - read + 1) // text)), (stop - 1) // text

    return _Seen(config, (len(store) - (read - text)) // text, holding)


def open_trace(release: Path, cache: Path) -> Trace:
    """Open a release; its tokens and their index are made once, under `cache`, and kept there by their digest."""
    return Trace(release, *index_of(release, cache))


def index_of(release: Path, cache: Path) -> tuple[TokenStore, Index]:
    """The training tokens of a release, held against their digest, and their index; both under `cache`."""
    stated = tokens_digest(release)
    if gone := withdrawn(release):
        raise BadInput(
            f"{release}: {count_of(len(gone), 'text')} withdrawn from it (attest/withdrawals/): what it was trained on "
            "cannot be read again; trace a remake"
        )
    folder = cache / "index" / stated
    if not (folder / "index.json").is_file():
        tune = read_config(release / "recipe" / "config.yaml").tune
        if write_tokens(release, _train(release), folder, "train", tune) != stated:
            raise BadInput(
                f"{release}: its documents and tokenizer do not give the tokens that its release.json states: "
                "something in the folder was changed"
            )
        build_index(TokenStore(folder, "train"), folder)
    return TokenStore(folder, "train"), open_index(folder, stated)


def tokens_digest(release: Path) -> str:
    """Of the training tokens, as release.json states it: it names a folder of the cache, so it must be a digest."""
    try:
        stated = read_release(release)["ingredients"]["tokens"]["train"]["digest"]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{release}/release.json: lacks {printable(str(error))}") from error
    if not isinstance(stated, str) or not re.fullmatch("[0-9a-f]{64}", stated):
        raise BadInput(f"{release}/release.json: the tokens' digest is none: {printable(repr(stated))[:80]}")
    return stated


def _train(release: Path) -> Iterator[Document]:
    return read_documents(release / "data", "train")


def _without_text(document: Document) -> Document:
    return Document(**(document.metadata() | {"text": "", "authors": document.authors}))


def render(answer: Answer) -> str:
    """The answer as a person reads it."""
    lines = [
        f"{answer.query_tokens} tokens; {100 * answer.verbatim:.0f} % of them stand in the training text in passages "
        f"of {answer.at_least} tokens or more"
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
                f"   seen at {source.steps} steps, from {source.first_step} to {source.last_step}",
            ]
    return "\n".join([*lines, "", WHAT_IT_MEANS])


def render_author(name: str, sources: list[Source], authors: list[str]) -> str:
    """All training documents of an author; if there are none, whose names come near."""
    if not sources:
        near = difflib.get_close_matches(name, authors, n=3, cutoff=0.4)
        hint = f"; authors with names like it: {', '.join(map(printable, near))}" if near else ""
        return f"no training document is by {printable(name)}{hint}"
    lines = [f"{len(sources)} training documents are by {printable(name)}"]
    for source in sources:
        lines.append(
            f"  {printable(source.title or source.id)} ({printable(source.date or 'no date')}), "
            f"{printable(source.licence)}, {printable(source.url or source.id)}: "
            f"seen at {source.steps} steps, from {source.first_step} to {source.last_step}"
        )
    return "\n".join(lines)


def text_of(file: Path) -> str:
    """The text in a file. Raises BadInput if it cannot be read as UTF-8."""
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"{printable(str(file))}: cannot be read as a text ({error})") from error
