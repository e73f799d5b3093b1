"""What a model was trained on, opened to be searched: documents, their tokens, an index of these, steps that saw them.

The tokens are made again from the documents and the tokenizer of the release, and must have the digest that it states.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.config import read_config
from train.documents import read_documents, withdrawn
from train.index import Index, build_index, open_index
from train.libre.seen import seen_of
from train.libre.tokens import write_tokens
from train.records import BadInput, Document, count_of, printable
from train.release import read_release
from train.tokens import TokenStore, load_tokenizer


@dataclass(frozen=True)
class Source:
    """A training document that holds a passage, the words around it, and the steps that saw the document. `where`: in
    which of the texts that were looked into it stands, counted from 0."""

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
    where: int


class TracedText:
    """The training text of one release. `name`: what a person calls it; `where`: its number among those looked into."""

    def __init__(self, release: Path, store: TokenStore, index: Index, name: str, where: int) -> None:
        self.release, self.index, self.name, self._where, self._store = release, index, name, where, store
        self._tokenizer = load_tokenizer(release)
        self._documents = [_without_text(document) for document in read_documents(release / "data", "train")]
        self._seen = seen_of(release, store)

    def at(self, start: int, length: int, around: int = 12) -> Source:
        """The document that holds `length` tokens from `start` on, and so many `around` them."""
        number = int(self._store.document_at(np.array([start]))[0])
        first, last = int(self._store.offsets[number]) + 1, int(self._store.offsets[number + 1])
        end = start + length
        before = self._read(max(first, start - around), start) if start > first else ""
        after = self._read(end, min(last, end + around)) if end < last else ""
        return self._source(number // self._seen.parts, before, after)

    def documents(self) -> list[Source]:
        """All of them."""
        return [self._source(number, "", "") for number in range(len(self._documents))]

    def by(self, author: str) -> list[Source]:
        """Those of an author, whatever the case of the name."""
        wanted, found = author.casefold(), enumerate(self._documents)
        return [self._source(n, "", "") for n, one in found if any(wanted == a.casefold() for a in one.authors)]

    def authors(self) -> set[str]:
        """Who wrote them."""
        return {author for document in self._documents for author in document.authors}

    def _source(self, number: int, before: str, after: str) -> Source:
        document = self._documents[number]
        steps = self._seen.steps(number)
        return Source(
            id=document.id, authors=document.authors, title=document.title, date=document.date,
            licence=document.licence, url=document.url, before=before, after=after,
            first_step=steps[0] if steps else 0, last_step=steps[-1] if steps else 0, steps=len(steps),
            where=self._where,
        )  # fmt: skip

    def _read(self, start: int, stop: int) -> str:
        return printable(str(self._tokenizer.decode(self._store.read(start, stop).tolist())))


def open_text(release: Path, cache: Path, name: str, where: int) -> TracedText:
    """Raises BadInput if its tokens are not those that the release states, or cannot be made again."""
    return TracedText(release, *index_of(release, cache), name, where)


def index_of(release: Path, cache: Path) -> tuple[TokenStore, Index]:
    """The training tokens of a release, held against their digest, and their index: made once, under `cache`, and kept
    there by the digest."""
    stated = tokens_digest(release)
    if gone := withdrawn(release):
        raise BadInput(
            f"{release}: {count_of(len(gone), 'text')} withdrawn from it (attest/withdrawals/): what it was trained on "
            "cannot be read again; trace a remake"
        )
    folder = cache / "index" / stated
    if not (folder / "index.json").is_file():
        tune = read_config(release / "recipe" / "config.yaml").tune
        if write_tokens(release, read_documents(release / "data", "train"), folder, "train", tune) != stated:
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


def _without_text(document: Document) -> Document:
    return Document(**(document.metadata() | {"text": "", "authors": document.authors}))
