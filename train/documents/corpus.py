"""From sources to a corpus: every document is kept, or excluded with the rule and the reason; the sums are checked."""

import difflib
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from train.documents.configs import SourceConfig
from train.documents.duplicates import Duplicates
from train.documents.examples import words_of
from train.documents.judge import Judged, judge, settle
from train.documents.make import Found, Make
from train.documents.parts import Share, read_parts, write_part
from train.documents.rules import ExcludeConfig, Rule, RulesConfig, find_personal_data, make_rules
from train.documents.seen import Seen
from train.documents.sources import fetch_source, read_source
from train.documents.store import SPLITS, write_documents
from train.records import (
    MACHINE,
    BadInput,
    Document,
    Excluded,
    Tally,
    canonical_json,
    printable,
    write_atomically,
    write_json,
)


@dataclass(kw_only=True)
class DataConfig:
    """The sources by name, the rules, whom or what to leave out, and what the data card says of the whole."""

    name: str
    sources: dict[str, SourceConfig]
    rules: RulesConfig
    exclude: ExcludeConfig = field(default_factory=ExcludeConfig)
    description: str = field(default="", metadata=MACHINE)
    warning: str = field(default="", metadata=MACHINE)
    why: str = field(default="", metadata=MACHINE)
    cache: str = field(default="cache", metadata=MACHINE)

    def __post_init__(self) -> None:
        if not self.sources:
            raise BadInput("data.sources is empty: a corpus needs at least one source")


def fetch(config: DataConfig) -> list[Path]:
    """Bring here what the corpus needs from the network."""
    fetched = (fetch_source(source, Path(config.cache)) for source in config.sources.values())
    return [path for path in fetched if path is not None]


def build_corpus(
    config: DataConfig,
    folder: Path,
    advance: Callable[[int], object],
    first: Sequence[Rule] = (),
    parts: Path | None = None,
) -> dict[str, Any]:
    """Read, judge and store every document; returns the summary that is also written to `folder`/summary.json.

    `advance` is told the bytes of each document as it is read, for a progress bar; `first`: rules before the others.
    `parts`: a folder of what `prepare_part` has judged, which is taken as it is. The corpus is the same.
    """
    summary, names = Summary(), Names(config.exclude)
    earlier = Duplicates(config.rules.near_duplicate_similarity)
    with ExitStack() as stack:
        writers = {split: stack.enter_context(write_documents(folder, split)) for split in SPLITS}
        manifest = stack.enter_context(write_atomically(folder / "manifest.jsonl"))
        excluded = stack.enter_context(write_atomically(folder / "excluded.jsonl"))
        for judged in _judge_all(config, first) if parts is None else read_parts(parts):
            advance(judged.found.n_bytes)
            names.see(judged)
            found = settle(judged, earlier)
            summary.add(found, judged.personal_data)
            if isinstance(found, Document):
                writers[found.split].write(found)
                manifest.write(_line(found.metadata()))
            else:
                excluded.write(_line(asdict(found)))
        names.check()
        result = summary.finish()
    write_json(folder / "summary.json", result)
    return result


def prepare_part(config: DataConfig, share: Share, folder: Path, advance: Callable[[int], object]) -> None:
    """Judge a share of the documents, each by itself, for `build_corpus` to put together when all shares are there."""
    rules = make_rules(config.rules, config.exclude)
    with write_part(folder, share) as part:
        for number, make in enumerate(_read_all(config)):
            if share.has(number):
                judged = judge(make(), rules)
                advance(judged.found.n_bytes)
                part.write(number, judged)
            part.items = number + 1


def _judge_all(config: DataConfig, first: Sequence[Rule]) -> Iterator[Judged]:
    rules = [*first, *make_rules(config.rules, config.exclude)]
    return (judge(make(), rules) for make in _read_all(config))


def _read_all(config: DataConfig) -> Iterator[Make]:
    for name, source in config.sources.items():
        yield from read_source(name, source, Path(config.cache))


class Names:
    """Whether whom or what the config leaves out is there at all: a misspelt name would leave nobody out."""

    def __init__(self, exclude: ExcludeConfig) -> None:
        self._wanted = {"authors": exclude.authors, "titles": exclude.titles, "ids": exclude.ids}
        self._seen: dict[str, set[str]] = {kind: set() for kind in self._wanted}
        self._wanted["sources"], self._seen["sources"] = exclude.sources, set()

    def see(self, judged: Judged) -> None:
        """Remember a document's names, if any is looked for: a large corpus has millions."""
        if not any(self._wanted.values()):
            return
        found = judged.found
        source, name = found.id.split("/", 1)
        self._seen["authors"].update(found.authors)
        self._seen["ids"].update((found.id, name))
        self._seen["sources"].add(source)
        self._seen["titles"].add(judged.title)

    def check(self) -> None:
        """Raises BadInput naming the first that no document bears, and the nearest that one does."""
        for kind, wanted in self._wanted.items():
            for name in wanted:
                if name not in self._seen[kind]:
                    near = difflib.get_close_matches(name, self._seen[kind], n=3, cutoff=0.6)
                    hint = f"; did you mean {' or '.join(near)}?" if near else ""
                    raise BadInput(f"data.exclude.{kind}: no document has {printable(name)!r}{printable(hint)}")


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n"


class Summary:
    """Counts that the cards print, computed from the documents, and the digests of what was kept and left out."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._documents, self._excluded = hashlib.sha256(), hashlib.sha256()
        self._by: dict[str, Counter[str]] = defaultdict(Counter)
        self._bytes: dict[str, Counter[str]] = defaultdict(Counter)
        self._personal: Counter[str] = Counter()
        self._ids = Seen()
        self._first_reason = ""

    def add(self, item: Found, personal_data: Mapping[str, int] | None = None) -> None:
        """Count one document, kept or excluded; what looks like personal data in it, where that is not known yet."""
        self.tally.seen += 1
        if self._ids.add(item.id.encode("utf-8", "surrogatepass")) is not None:
            raise BadInput(f"{item.id}: two documents of this id; the ids within a source must differ")
        if isinstance(item, Excluded):
            self.tally.excluded[item.rule] = self.tally.excluded.get(item.rule, 0) + 1
            self._first_reason = self._first_reason or f"{item.id}: {item.reason}"
            self._excluded.update(canonical_json(asdict(item) | {"authors": list(item.authors)}) + b"\n")
            return
        self.tally.kept += 1
        self.tally.kept_bytes += item.n_bytes
        about = item.metadata()
        about.pop("retrieved")  # the day of the download changes no text
        self._documents.update(canonical_json(about) + b"\n")
        self._personal.update(find_personal_data(words_of(item.text)) if personal_data is None else personal_data)
        for author in item.authors or ("unknown",):
            self._count("author", author, item.n_bytes)
        for name in ("language", "licence", "source", "split"):
            self._count(name, getattr(item, name), item.n_bytes)
        self._count("decade", f"{item.date[:3]}0s" if item.date[:4].isdigit() else "undated", item.n_bytes)

    def _count(self, name: str, value: str, n_bytes: int) -> None:
        self._by[name][value] += 1
        self._bytes[name][value] += n_bytes

    def finish(self) -> dict[str, Any]:
        """The summary. Raises BadInput if there is nothing to train on."""
        self.tally.check()
        splits = self._by["split"]
        if not splits["train"] or not splits["validation"]:
            left_out = ", ".join(f"{rule} {count}" for rule, count in self.tally.excluded.items()) or "none"
            left_out += f" (the first is {printable(self._first_reason)})" if self._first_reason else ""
            raise BadInput(
                f"the corpus has {splits['train']} documents for training and {splits['validation']} for validation, "
                f"at least one of each is needed (about one document in 14 is for validation; add documents). "
                f"Read: {self.tally.seen}; left out: {left_out}"
            )
        by = {
            name: {value: {"documents": count, "bytes": self._bytes[name][value]} for value, count in sorted(c.items())}
            for name, c in sorted(self._by.items())
        }
        return {
            "seen": self.tally.seen,
            "kept": self.tally.kept,
            "kept_bytes": self.tally.kept_bytes,
            "excluded": self.tally.excluded,
            "by": by,
            "personal_data": dict(self._personal),
            "documents_digest": self._documents.hexdigest(),
            "excluded_digest": self._excluded.hexdigest(),
        }
