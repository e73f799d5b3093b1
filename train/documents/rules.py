"""The rules that leave a document out. Each has a name and a version; changing what a rule does changes its version.

A rule looks at one document and answers None (it stays) or what it measured and why the document goes. Those that hold
a document against earlier ones stand in train.documents.duplicates.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

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
    """The rules in the order in which a document meets them: the cheap ones first."""
    return [
        Rule("exclude", 1, lambda document: _excluded(document, exclude)),
        Rule("licence", 1, lambda document: _licence(document, config.licences)),
        Rule("length", 1, lambda document: _length(document, config)),
        Rule("control_characters", 1, _control_characters),
        Rule("language", 1, lambda document: _language(document, config.languages)),
        Rule("personal_data", 1, lambda document: _personal_data(document, config.max_personal_data)),
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
_DIGIT = re.compile(r"\d")
_TAKES = {  # one of these at least: most texts have none, and are not gone through
    "e-mail": ("@",),
    "telephone": ("+",),
    "key": ("PRIVATE KEY", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
}


@lru_cache(maxsize=1)  # the rule asks, and whoever counts what is kept asks again
def find_personal_data(text: str) -> Mapping[str, int]:
    """How many items of each kind stand in the text; numbers with a check digit count only where it holds."""
    valid = {"iban": _iban_holds, "card": _luhn_holds}
    digits = _DIGIT.search(text)
    counts = {
        kind: sum(valid.get(kind, bool)(match) for match in _matches(pattern, text))
        for kind, pattern in _PERSONAL.items()
        if (digits if kind in valid else any(mark in text for mark in _TAKES[kind]))
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
