"""A text may no longer be used: it leaves the folder of every release that holds it, and its digest stays.

A statement under attest/withdrawals/ says which text, why, on whose word, at which steps it was learned from, and which
file of the release became which. The weights still hold what they learned: only a remake is without it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from train.documents import SPLITS, documents_file, read_documents, write_documents
from train.libre.audit import Subject
from train.libre.texts import tokens_digest
from train.libre.trace import open_trace
from train.records import (
    BadInput,
    Document,
    count_of,
    digest_file,
    digest_json,
    printable,
    read_json,
    read_rows,
    write_json,
)
from train.release import read_release, unlike_schema
from train.standards import withdrawal_record

Steps = dict[str, int]
"""{"first", "last", "count"}: the steps that saw a document."""

KINDS = ("author", "title", "id", "sha256")


@dataclass(frozen=True)
class Withdrawal:
    """What was done to one release: the texts, the steps that saw each (none for a held-out text), the statement."""

    release: Path
    name: str
    documents: tuple[Document, ...]
    steps: dict[str, Steps]
    statement: str

    def record(self) -> dict[str, Any]:
        """As JSON."""
        rows = [_row(document, self.steps.get(document.id)) for document in self.documents]
        return {"release": self.name, "documents": rows, "statement": self.statement}

    def render(self) -> str:
        """As a person reads it."""
        if not self.documents:
            return f"{printable(self.name)}: holds none of it"
        lines = [f"{printable(self.name)}: {count_of(len(self.documents), 'text')} taken out of the folder"]
        for document in self.documents:
            seen, when = self.steps.get(document.id), "held out, not learned from"
            if seen is not None:
                when = f"learned from at {seen['count']} steps, {seen['first']} to {seen['last']}"
            lines.append(
                f"  {printable('; '.join(document.authors))}: {printable(document.title or document.id)}: {when}"
            )
        folder = printable(str(self.release))
        lines.append(f"  said in {printable(self.statement)}; the weights still hold what they learned. Without it:")
        return "\n".join([*lines, f'  python -m train remake {folder} --out DIR --why "a text was withdrawn"'])


def withdraw(releases: Sequence[Path], wishes: Sequence[str], why: str, by: str, cache: Path) -> list[Withdrawal]:
    """Take what the wishes name (author=, title=, id=, sha256=) out of each release that holds it.

    A text found in one release is looked for in all by its digest, whatever it is called there. Raises BadInput if no
    release holds any.
    """
    sums: set[str] = set()
    matches = [_matcher(wish) for wish in wishes]
    for release in releases:
        tokens_digest(release)
        if wrong := unlike_schema(read_release(release)):
            raise BadInput(f"{release}: release.json is not as its schema says: {wrong}")
        if links := Subject(release, release).irregular:
            raise BadInput(
                f"{release}: holds links or devices, and is not written to: {', '.join(map(printable, links[:3]))}"
            )
        rows = read_rows(release / "data" / "manifest.jsonl")
        sums |= {str(row["sha256"]) for row in rows if any(match(row) for match in matches)}
    if not sums:
        raise BadInput(f"no document of {', '.join(map(printable, wishes))} is in {', '.join(map(str, releases))}")
    held = [_held(release, sums, cache) for release in releases]  # of all, before anything is written
    return [_withdraw(release, sums, found, why, by, cache) for release, found in zip(releases, held, strict=True)]


def _matcher(wish: str) -> Callable[[dict[str, Any]], bool]:
    kind, equals, name = wish.partition("=")
    if kind not in KINDS or not equals or not name:
        raise BadInput(f"{printable(wish)}: say author=NAME, title=..., id=... or sha256=...")
    wanted = name.casefold()

    def match(row: dict[str, Any]) -> bool:
        values = row["authors"] if kind == "author" else [row[kind]]
        return wanted in {str(value).casefold() for value in values}

    return match


_Held = tuple[dict[str, list[Document]], dict[str, Steps]]


def _held(release: Path, sums: set[str], cache: Path) -> _Held:
    """(the documents by split that a release still holds of these; at which steps each of its texts was seen)."""
    there = {
        split: [d for d in read_documents(release / "data", split) if d.sha256 in sums and d.text] for split in SPLITS
    }
    return there, _seen(release, cache) if any(there.values()) else {}


def _withdraw(release: Path, sums: set[str], held: _Held, why: str, by: str, cache: Path) -> Withdrawal:
    record, (there, seen), draft = read_release(release), held, release / "data" / ".withdraw.tmp"
    documents = [document for split in SPLITS for document in there[split]]
    if not documents:
        return Withdrawal(release, str(record["name"]), (), {}, "")
    try:
        files = [_write_without(release, split, sums, draft) for split in SPLITS if there[split]]
        rows = [_row(document, seen.get(document.id)) for document in documents]
        statement = withdrawal_record(record, rows, files, why, by, datetime.now(UTC).date().isoformat())
        statement["predicate"]["seen"] = seen
        path = release / "attest" / "withdrawals" / f"{digest_json(statement)[:16]}.json"
        write_json(path, statement)
        for file in files:
            (draft / Path(file["name"]).name).replace(release / file["name"])
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(cache / "index" / tokens_digest(release), ignore_errors=True)
    return Withdrawal(release, str(record["name"]), tuple(documents), seen, str(path))


def _seen(release: Path, cache: Path) -> dict[str, Steps]:
    """At which steps each training document was learned from. Once a text is gone nobody can work that out, so the
    first statement holds it for all."""
    for path in sorted((release / "attest" / "withdrawals").glob("*.json")):
        try:
            return {str(id): dict(steps) for id, steps in read_json(path)["predicate"]["seen"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{printable(str(path))}: not a statement of a withdrawal; nothing was changed") from error
    sources = open_trace(release, cache).documents()
    return {one.id: {"first": one.first_step, "last": one.last_step, "count": one.steps} for one in sources}


def _write_without(release: Path, split: str, sums: set[str], draft: Path) -> dict[str, str]:
    with write_documents(draft, split) as writer:
        for document in read_documents(release / "data", split):
            writer.write(replace(document, text="") if document.sha256 in sums else document)
    here, there = documents_file(release / "data", split), documents_file(draft, split)
    return {"name": f"data/{here.name}", "before": digest_file(here), "after": digest_file(there)}


def _row(document: Document, seen: Steps | None) -> dict[str, Any]:
    names = ("id", "sha256", "title", "source", "split", "n_bytes")
    return {name: getattr(document, name) for name in names} | {"authors": list(document.authors), "steps": seen}
