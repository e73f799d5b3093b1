"""The rules that leave a document out. Each has a name and a version; changing what a rule does changes its version.

A rule looks at one document and answers None (it stays) or what it measured and why the document goes.
Rules that need to remember earlier documents (duplicates) are objects; the others are functions of the config.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import numpy.typing as npt

from train.documents.licences import is_known, refusal
from train.records import BadInput, Document

Verdict = tuple[str, str] | None


@dataclass(kw_only=True)
class ExcludeConfig:
    """Whom or what to leave out, by exact name; `source` is the name of the source in the config."""

    authors: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class RulesConfig:
    """The limits of the rules. An empty list of languages lets all languages in."""

    licences: list[str]
    languages: list[str] = field(default_factory=list)
    min_bytes: int = 200
    max_bytes: int = 20_000_000
    max_personal_data: int = 0
    near_duplicate_similarity: float = 0.8

    def __post_init__(self) -> None:
        if not 0.5 <= self.near_duplicate_similarity <= 1:
            raise BadInput(f"data.rules.near_duplicate_similarity={self.near_duplicate_similarity}: from 0.5 to 1")
        unknown = [name for name in self.licences if not is_known(name)]
        if unknown:
            raise BadInput(f"data.rules.licences: {unknown[0]} is no SPDX licence")


@dataclass(frozen=True)
class Rule:
    """A named, versioned rule. It reads the words of a document; `whole`: its text as it is (of an example, JSON)."""

    name: str
    version: int
    check: Callable[[Document], Verdict]
    whole: bool = False


def make_rules(config: RulesConfig, exclude: ExcludeConfig) -> list[Rule]:
    """The rules in the order in which a document meets them: the cheap ones first, duplicates last."""
    return [
        Rule("exclude", 1, lambda document: _excluded(document, exclude)),
        Rule("licence", 1, lambda document: _licence(document, config.licences)),
        Rule("length", 1, lambda document: _length(document, config)),
        Rule("control_characters", 1, _control_characters),
        Rule("language", 1, lambda document: _language(document, config.languages)),
        Rule("personal_data", 1, lambda document: _personal_data(document, config.max_personal_data)),
        Rule("duplicate", 1, ExactDuplicates()),
        Rule("near_duplicate", 2, NearDuplicates(config.near_duplicate_similarity)),
    ]


def _excluded(document: Document, exclude: ExcludeConfig) -> Verdict:
    source, name = document.id.split("/", 1)
    for author in document.authors:
        if author in exclude.authors:
            return author, "the config leaves this author out"
    if document.title in exclude.titles:
        return document.title, "the config leaves this title out"
    if document.id in exclude.ids or name in exclude.ids:
        return document.id, "the config leaves this document out"
    if source in exclude.sources:
        return source, "the config leaves this source out"
    return None


def _licence(document: Document, allowed: list[str]) -> Verdict:
    reason = refusal(document.licence, allowed)
    return (document.licence, reason) if reason else None


def _length(document: Document, config: RulesConfig) -> Verdict:
    if config.min_bytes <= document.n_bytes <= config.max_bytes and document.text.strip():
        return None
    return str(document.n_bytes), f"bytes outside {config.min_bytes} to {config.max_bytes}, or nothing but space"


_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def _control_characters(document: Document) -> Verdict:
    found = _CONTROL.search(document.text)
    return (f"U+{ord(found[0]):04X}", "a control character that no plain text holds") if found else None


def detect_language(text: str) -> str:
    """The ISO 639-1 code of the language that the text is most likely in."""
    import py3langid

    return str(py3langid.classify(text[:20_000])[0])


def _language(document: Document, languages: list[str]) -> Verdict:
    if not languages:
        return None
    found = detect_language(document.text)
    return None if found in languages else (found, f"detected language not among {', '.join(languages)}")


_PERSONAL = {
    "e-mail": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b"),
    "telephone": re.compile(r"(?<![\w.])\+\d{1,3}(?:[ .-]?\d{2,4}){3,4}\b"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card": re.compile(r"\b(?:\d[ -]?){15}\d\b"),
    "key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"),
}


def find_personal_data(text: str) -> dict[str, int]:
    """How many items of each kind stand in the text; numbers with a check digit count only where it holds."""
    valid = {"iban": _iban_holds, "card": _luhn_holds}
    counts = {
        kind: sum(valid.get(kind, bool)(match) for match in _matches(pattern, text))
        for kind, pattern in _PERSONAL.items()
    }
    return {kind: count for kind, count in counts.items() if count}


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (match[0] for match in pattern.finditer(text))


def _iban_holds(candidate: str) -> bool:
    digits = candidate.replace(" ", "")
    return int("".join(str(int(char, 36)) for char in digits[4:] + digits[:4])) % 97 == 1


def _luhn_holds(candidate: str) -> bool:
    digits = [int(char) for char in candidate if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


def _personal_data(document: Document, limit: int) -> Verdict:
    counts = find_personal_data(document.text)
    if sum(counts.values()) <= limit:
        return None
    value = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    return value, f"more than {limit} items that look like personal data or secrets"


class ExactDuplicates:
    """Leaves out a text that is another's but for case and spacing."""

    def __init__(self) -> None:
        self._seen: dict[bytes, str] = {}

    def __call__(self, document: Document) -> Verdict:
        """The earlier document of the same text, if there is one."""
        digest = hashlib.sha256(" ".join(document.text.casefold().split()).encode()).digest()
        earlier = self._seen.setdefault(digest, document.id)
        return None if earlier == document.id else (earlier, "the same text as an earlier document")


class NearDuplicates:
    """Leaves out a text whose sets of five words in a row overlaps an earlier one's: MinHash and banding (LSH).

    Broder, "On the resemblance and containment of documents", 1997. The last `_REMEMBERED` texts that were kept are
    remembered, each by its sketch, and by one place for each of its bands in a table of fixed size, where a later text
    takes an earlier one's: memory is bounded (220 MB, taken as it is needed), however many documents come.
    """

    _HASHES = 128
    _BANDS = 32  # of 4 hashes: a pair of similarity 0.7 is looked at with a chance of 99.98 %, of 0.5 with 87 %
    _REMEMBERED = 2**18
    _PLACES = 2**24

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._count = 0
        self._ids: list[str] = []
        self._sketches = np.zeros((self._REMEMBERED, self._HASHES), np.uint32)
        self._places = np.zeros(self._PLACES, np.uint32)  # the number of a text, from 1; 0 where there is none

    def __call__(self, document: Document) -> Verdict:
        """The earlier document that this one is alike to, if there is one."""
        sketch = _sketch(document.text, self._HASHES)
        places = self._places_of(sketch)
        for number in np.unique(self._places[places]).tolist():
            if number > max(0, self._count - self._REMEMBERED):
                slot = (number - 1) % self._REMEMBERED
                likeness = float((self._sketches[slot] == sketch).mean())
                if likeness >= self._similarity:
                    return (
                        f"{self._ids[slot]} {likeness:.2f}",
                        f"at least {self._similarity} alike to an earlier document",
                    )
        self._remember(document.id, sketch, places)
        return None

    def _places_of(self, sketch: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Where the bands of a sketch stand in the table, (bands,) int64."""
        bands = np.ascontiguousarray(sketch.reshape(self._BANDS, -1), "<u4")
        return np.array([crc32(band.tobytes(), number) % self._PLACES for number, band in enumerate(bands)])

    def _remember(self, identity: str, sketch: npt.NDArray[np.uint32], places: npt.NDArray[np.int64]) -> None:
        slot = self._count % self._REMEMBERED
        self._ids[slot : slot + 1] = [identity]
        self._sketches[slot] = sketch
        self._count += 1
        self._places[places] = self._count


def _sketch(text: str, hashes: int) -> npt.NDArray[np.uint32]:
    """The MinHash of a text's sets of five words in a row, (hashes,) uint32."""
    import rensa

    sketch = rensa.RMinHash(num_perm=hashes, seed=42)
    words = re.findall(r"\w+", text.casefold())
    sketch.update([" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))])
    return np.array(sketch.digest(), np.uint32)
