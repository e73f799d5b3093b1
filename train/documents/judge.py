"""What can be said of one document alone: whether it stays by the rules, its language, its fingerprint.

So documents are judged in any order, and on any number of machines (train.documents.parts). What stays is then held
against the earlier documents, one after the other in their order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from train.documents.duplicates import Duplicates, Fingerprint, fingerprint
from train.documents.examples import words_of
from train.documents.make import Found
from train.documents.rules import Rule, detect_language, find_personal_data
from train.records import Document, Excluded


@dataclass(frozen=True)
class Judged:
    """A document that stays as far as it alone is looked at, with what there is to tell; or why it does not."""

    found: Found
    title: str = ""
    personal_data: Mapping[str, int] = field(default_factory=dict)
    fingerprint: Fingerprint | None = None  # None: it does not stay


def judge(found: Found, rules: Iterable[Rule]) -> Judged:
    """The document as it goes in, or why it does not: the first rule that takes it out."""
    if isinstance(found, Excluded):
        return Judged(found)
    words = words_of(found.text)
    read = found if words == found.text else replace(found, text=words, n_bytes=len(words.encode()))
    for rule in rules:
        if verdict := rule.check(found if rule.whole else read):
            return Judged(_left_out(found, rule.name, rule.version, verdict), found.title)
    named = found if found.language else replace(found, language=detect_language(words))
    return Judged(named, found.title, find_personal_data(words), fingerprint(words))


def settle(judged: Judged, earlier: Duplicates) -> Found:
    """The document if it is not another's copy, which makes it known to those that follow; or why it does not stay."""
    found = judged.found
    if isinstance(found, Excluded) or judged.fingerprint is None:
        return found
    copy = earlier.check(found.id, judged.fingerprint)
    return _left_out(found, *copy) if copy else found


def _left_out(document: Document, rule: str, version: int, verdict: tuple[str, str]) -> Excluded:
    about = {key: getattr(document, key) for key in ("id", "sha256", "url", "authors", "n_bytes")}
    value, reason = verdict
    return Excluded(**about, stage="rules", rule=rule, rule_version=version, value=value, reason=reason)
