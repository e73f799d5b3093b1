"""The release under audit, read as what it is: a folder from somebody else.

Nothing is followed out of it, nothing is unpickled or run, and no file decides how much memory is taken. What several
checks need is worked out once.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.config import Config, published_digest, read_config
from train.documents import SPLITS, Summary, read_documents, read_release_documents
from train.evaluate import Asked, read_answers
from train.index import Index, build_index, open_index
from train.libre.audit.folder import is_pickled, walk
from train.libre.audit.own import is_own
from train.libre.audit.shape import shape_of
from train.libre.tokens import write_tokens
from train.model import build_model
from train.records import (
    LARGEST_TEXT,
    BadInput,
    Document,
    base_of,
    digest_json,
    printable,
    read_json,
    read_rows,
    read_text,
)
from train.release import RECORD, SUMS, read_release, read_source
from train.standards import is_signed, open_envelope
from train.tokens import TokenStore, load_chat, load_vocabulary
from train.training import lesson_with
from train.tune import Base as TunedFrom
from train.tune import Lesson, open_base

_WHOLE = {".json", ".yaml", ".md", ".txt"}


@dataclass(frozen=True)
class Base:
    """What was found of a release that another was made from: the checks that failed, the texts withdrawn (sha256)."""

    folder: Path
    name: str
    digest: str
    failed: tuple[str, ...]
    withdrawn: frozenset[str]


class Subject:
    """A folder that is asked whether it is free. `work` is a folder of our own, for what is made again; `witnesses`:
    the keys of those whose word about a rebuild is believed.
    """

    def __init__(self, folder: Path, work: Path, bases: Sequence[Base] = (), witnesses: Sequence[str] = ()) -> None:
        if not folder.is_dir():
            raise BadInput(f"{printable(str(folder))}: there is no such folder")
        self.folder, self.work, self.bases, self.witnesses = folder, work, bases, witnesses
        self.files, self.irregular = walk(folder)

    def path(self, name: str) -> Path:
        """A file of the folder. Raises BadInput if it is not there, or too large to be read whole."""
        if name not in self.files:
            raise BadInput(f"there is no {name}")
        path = self.folder / name
        if path.suffix in _WHOLE and path.stat().st_size > LARGEST_TEXT:
            raise BadInput(f"{name}: larger than {LARGEST_TEXT >> 20} MB")
        return path

    def text(self, name: str) -> str:
        """A text file. Raises BadInput if it is none, or too large to be read whole."""
        path = self.path(name)
        try:
            return read_text(path)
        except (OSError, ValueError) as error:
            raise BadInput(f"{name}: cannot be read as text ({error})") from error

    def json(self, name: str) -> Any:
        """A JSON file."""
        return read_json(self.path(name))

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """A file of JSON lines, one at a time."""
        yield from read_rows(self.path(name))

    def pickles(self) -> list[str]:
        """Files that a program would have to unpickle."""
        return [name for name in self.files if is_pickled(self.folder / name)]

    @cached_property
    def record(self) -> dict[str, Any]:
        """release.json."""
        if RECORD not in self.files:
            raise BadInput("there is no release.json: this is not a release that says what it is made of")
        self.path(RECORD)
        return read_release(self.folder)

    @cached_property
    def recipe(self) -> Config:
        """The resolved config."""
        return read_config(self.path("recipe/config.yaml"))

    @cached_property
    def recipe_digest(self) -> str:
        """Of what of the config can change the weights."""
        return published_digest(self.recipe, self.path("recipe/config.yaml"))

    @cached_property
    def sums(self) -> dict[str, str]:
        """SHA256SUMS: what each file's digest was."""
        stated = {}
        for line in self.text(SUMS).splitlines():
            digest, gap, name = line.partition("  ")
            if not gap or len(digest) != 64 or name in stated:
                raise BadInput(f"{SUMS}: a line that is no digest and name: {line[:80]}")
            stated[name] = digest
        return stated

    @cached_property
    def survey(self) -> dict[str, Any]:
        """All documents and all that was left out, read again and counted again: what summary.json should say.

        Raises BadInput at the first document whose text is not the one that the manifest lists.
        """
        summary = Summary()
        for name in ("data/manifest.jsonl", "data/excluded.jsonl", *map(_table, SPLITS)):
            self.path(name)
        for item in read_release_documents(self.folder):
            summary.add(item)
        return summary.finish()

    def documents(self, split: str) -> Iterator[Document]:
        """The documents of a split, each held against its own digest; those that were withdrawn are gone."""
        name = _table(split)
        self.path(name)
        for document in read_documents(self.folder / "data", split):
            if document.sha256 in self.withdrawn and document.is_withdrawn():
                continue
            if not document.is_whole():
                raise BadInput(f"{name}: the text of {document.id[:80]} is not the one that was listed")
            yield document

    @cached_property
    def tokens(self) -> dict[str, str]:
        """The digest of each split's tokens, made again from the documents with the release's tokenizer."""
        self.path("tokenizer.json"), self.path("tokenizer_config.json")
        tune = self.recipe.tune
        return {split: write_tokens(self.folder, self.documents(split), self.work, split, tune) for split in SPLITS}

    def store(self, split: str) -> TokenStore:
        """The tokens of a split, made again."""
        assert self.tokens
        return TokenStore(self.work, split)

    @cached_property
    def index(self) -> Index:
        """Of the training tokens: where any passage stands in them."""
        store = self.store("train")
        build_index(store, self.work / "index")
        return open_index(self.work / "index", store.digest)

    def held_out(self) -> Iterator[npt.NDArray[np.int64]]:
        """The tokens of each held-out text, (n,), behind one that is not counted; of an example, its answer's."""
        if self.recipe.tune.on and not self.recipe.tune.purpose:
            yield from (one.answer.tokens for one in self.asked())
        else:
            yield from self.store("validation").documents()

    def asked(self) -> list[Asked]:
        """The held-out examples of a model that was tuned."""
        assert self.tokens
        chat = load_chat(self.folder)
        assert chat is not None, "the tokens were made with it"
        return read_answers(self.documents("validation"), chat)

    def lesson(self, *, begun: bool) -> Lesson:
        """What the loop was given; the model with its initial weights if it is `begun`, else a shape alone.

        Raises BadInput if the published weights are of another size, or began from another model's that is not at hand.
        """
        recipe = self.recipe
        assert self.tokens, "they are made again in `work`"
        model = shape_of(recipe, self.path("model.safetensors"))
        if begun and recipe.tune.on:
            model = self.base().load()
        elif begun:
            model = build_model(recipe.model)
            model.initialise(recipe.run.seed, exact=recipe.numerics.exact)
        return lesson_with(recipe, model, self.work, load_vocabulary(self.folder))

    def base(self) -> TunedFrom:
        """The model that was tuned. Raises BadInput if it was not given, or is another."""
        row = base_of(self.record) or {}
        if not self.bases:
            raise BadInput(
                f"its weights begin from those of {row.get('release', 'another model')} "
                f"({str(row.get('digest'))[:12]}), which must be at hand: --base FOLDER"
            )
        return open_base(self.bases[0].folder, self.recipe.tune.digest)

    @cached_property
    def withdrawals(self) -> list[dict[str, Any]]:
        """The statements that texts of this release may no longer be used."""
        return [statement["predicate"] for statement, _ in self._statements("withdrawals")]

    @cached_property
    def withdrawn(self) -> dict[str, dict[str, Any]]:
        """The documents that were withdrawn, by their sha256: those that are listed and whose text is gone.

        Raises BadInput at a statement about any other, which would hide something.
        """
        said = {str(row["sha256"]): row for one in self.withdrawals for row in one["documents"]}
        if not said:
            return {}
        gone = {
            d.sha256: d for split in SPLITS for d in read_documents(self.folder / "data", split) if d.is_withdrawn()
        }
        if strange := set(said) - set(gone):
            raise BadInput(f"attest/withdrawals/ speaks of {min(strange)[:16]}, which is not a text that is gone")
        return {digest: row | gone[digest].metadata() for digest, row in said.items()}

    @cached_property
    def emptied(self) -> dict[str, tuple[str, str]]:
        """The files that withdrawals have changed: (digest before the first, digest after the last)."""
        found: dict[str, tuple[str, str]] = {}
        moves = {file["before"]: (file["name"], file["after"]) for said in self.withdrawals for file in said["files"]}
        for name in map(_table, SPLITS):
            before = now = self.sums.get(name, "")
            for _ in moves:
                now = moves[now][1] if now in moves and moves[now][0] == name else now
            if now != before:
                found[name] = before, now
        return found

    def rebuilds(self) -> Iterator[dict[str, Any]]:
        """The statements of those who remade this release; of another release's none.

        `believed`: it was remade here, or by a witness.
        """
        for statement, key in self._statements("rebuilds"):
            made, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
            environment = made["internalParameters"]["environment"]
            about = {
                "by": run["builder"]["id"],
                "on": environment["processor"],
                "environment": environment,
                "key": key,
                "believed": is_own(statement) or key in self.witnesses,
            }
            yield run["byproducts"][0]["annotations"] | about

    def evaluations(self) -> Iterator[dict[str, Any]]:
        """What was found of this release later: {"by", "time", "environment", "tasks"}, and the key that signed it."""
        for statement, key in self._statements("evaluations"):
            yield statement["predicate"] | {"key": key}

    def _statements(self, kind: str) -> Iterator[tuple[dict[str, Any], str]]:
        """What lies under attest/ about this release, and the key that signed it; what is about another is passed over.

        Raises BadInput at a signature that does not hold.
        """
        for name in self.files:
            if name.startswith(f"attest/{kind}/") and name.endswith(".json"):
                statement, key = self.statement(name)
                if statement["subject"][0]["digest"]["sha256"] != self.record["digest"]:
                    continue
                if digest_json(statement)[:12] not in name:
                    raise BadInput(f"{name}: not the statement whose digest its name bears")
                yield statement, key

    def statement(self, name: str) -> tuple[dict[str, Any], str]:
        """An in-toto statement and the key that signed it, "" if none did."""
        read = self.json(name)
        return open_envelope(read) if is_signed(read) else (read, "")

    @cached_property
    def source(self) -> dict[str, str]:
        """The files in the archive of the code and their digests; nothing is unpacked to disk."""
        files = read_source(self.path("recipe/source.tar"))
        return {name: hashlib.sha256(data).hexdigest() for name, data in files}

    def source_digest(self) -> str:
        """The program's digest, from the archive."""
        return digest_json(self.source)


def _table(split: str) -> str:
    return f"data/documents-{split}.parquet"
