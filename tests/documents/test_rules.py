"""Each rule takes out what it is for, and nothing else."""

import gc
import hashlib
import re

import psutil
import pytest

from tests.conftest import make_text
from train.documents.duplicates import Duplicates, NearDuplicates, fingerprint
from train.documents.judge import judge, settle
from train.documents.licences import refusal
from train.documents.rules import ExcludeConfig, RulesConfig, find_personal_data, make_rules
from train.documents.seen import Seen
from train.records import Document, Excluded

ALLOWED = ["CC0-1.0", "CC-BY-4.0", "MIT"]


def document(text: str, **about: object) -> Document:
    raw = text.encode()
    given = {
        "id": "s/" + hashlib.sha256(raw).hexdigest()[:8],
        "source": "files:s",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "n_bytes": len(raw),
        "licence": "CC0-1.0",
        "authors": ("A. Author",),
        "title": "A title",
    }
    return Document(**{**given, **about}, text=text)


def taken_out_by(item: Document, *earlier: Document, exclude: ExcludeConfig | None = None, **limits: object) -> str:
    config = RulesConfig(licences=ALLOWED, min_bytes=20, **limits)
    rules, known = make_rules(config, exclude or ExcludeConfig()), Duplicates(config.near_duplicate_similarity)
    *before, found = [settle(judge(one, rules), known) for one in (*earlier, item)]
    assert all(isinstance(one, Document) for one in before)
    return found.rule if isinstance(found, Excluded) else ""


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("CC0-1.0", True),
        ("CC-BY-4.0 OR LicenseRef-scancode-proprietary-license", True),
        ("CC-BY-4.0 AND MIT", True),
        ("CC-BY-4.0 AND GPL-3.0-only", False),
        ("CC-BY-NC-4.0", False),
        ("", False),
        ("all rights reserved", False),
        ("(MIT", False),
    ],
)
def test_licence_gate(expression: str, passes: bool) -> None:
    assert (refusal(expression, ALLOWED) == "") is passes


def test_a_good_document_stays() -> None:
    assert taken_out_by(document(make_text(1))) == ""


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (document(make_text(1), licence=""), "licence"),
        (document(""), "length"),
        (document(" " * 50), "length"),
        (document("x" * 30_000), "length"),
        (document(make_text(1) + "\x1b]0;title\x07"), "control_characters"),
        (document(make_text(1) + "write to jane.doe@example.org"), "personal_data"),
        (document(make_text(1) + "-----BEGIN RSA PRIVATE KEY-----"), "personal_data"),
    ],
)
def test_what_each_rule_takes_out(item: Document, rule: str) -> None:
    assert taken_out_by(item, max_bytes=20_000) == rule


def test_language() -> None:
    french = "Les citoyens de la République ont le droit de savoir ce que l'on fait en leur nom. " * 5
    english = "The citizens of the republic have a right to know what is done in their name. " * 5
    assert taken_out_by(document(french), languages=["en"]) == "language"
    assert taken_out_by(document(english), languages=["en"]) == ""


@pytest.mark.parametrize(
    "exclude",
    [
        ExcludeConfig(authors=["A. Author"]),
        ExcludeConfig(titles=["A title"]),
        ExcludeConfig(ids=["s/one"]),
        ExcludeConfig(ids=["one"]),
        ExcludeConfig(sources=["s"]),
    ],
)
def test_exclude(exclude: ExcludeConfig) -> None:
    assert taken_out_by(document(make_text(1), id="s/one"), exclude=exclude) == "exclude"
    other = document(make_text(2), id="t/two", authors=("B",), title="Another")
    assert taken_out_by(other, exclude=exclude) == ""


def test_duplicates() -> None:
    first = document(make_text(1))
    assert taken_out_by(document(make_text(1).upper().replace(" ", "\n")), first) == "duplicate"
    assert taken_out_by(document(make_text(1) + "One more sentence."), first) == "near_duplicate"
    assert taken_out_by(document(make_text(2)), first) == ""


def test_numbers_with_a_check_digit_count_only_where_it_holds() -> None:
    assert find_personal_data("card 4539 1488 0343 6467 and 4539 1488 0343 6468") == {"card": 1}
    assert find_personal_data("FR14 2004 1010 0505 0001 3M02 606 and FR15 2004 1010 0505 0001 3M02 606") == {"iban": 1}
    assert find_personal_data("in 1845 the revenue was 27528112 dollars and 70 cents") == {}


def test_near_duplicates_are_remembered_within_a_fixed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last 8 texts are known, what came before them is forgotten; the tables never grow."""
    monkeypatch.setattr(NearDuplicates, "_REMEMBERED", 8)
    monkeypatch.setattr(NearDuplicates, "_PLACES", 4096)
    near = NearDuplicates(0.8)
    size = near._sketches.nbytes + near._places.nbytes
    for number in range(12):
        assert near.check(f"s/{number}", fingerprint(make_text(number))) is None
    for number in range(4, 12):
        found = near.check("s/new", fingerprint(make_text(number) + "One more sentence."))
        assert found is not None, number
        assert found[0].startswith(f"s/{number} ")
    assert near.check("s/again", fingerprint(make_text(1) + "One more sentence.")) is None
    assert near._sketches.nbytes + near._places.nbytes == size
    assert len(near._ids) == 8


def test_what_has_come_is_remembered_outside_memory() -> None:
    """A hundred thousand keys with values, nine megabytes, of which SQLite keeps two at hand."""
    seen = Seen()
    before = memory()
    for number in range(100_000):
        assert seen.add(hashlib.sha256(str(number).encode()).digest(), f"source/{number:032d}") is None
    assert memory() - before < 5e6
    assert seen.add(hashlib.sha256(b"77").digest(), "source/later") == f"source/{77:032d}"
    assert seen.add(b"\0") is None
    assert seen.add(b"\0") == ""


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return psutil.Process().memory_info().rss


def test_the_sketch_tells_how_alike_two_texts_are() -> None:
    """Against the sets themselves: 128 hashes are within 3 standard errors of the true likeness."""
    words = make_text(3).split()
    for kept in (390, 300, 200):
        first, second = " ".join(words), " ".join([*words[:kept], *make_text(4).split()[kept:]])
        sets = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in (_words(first), _words(second))]
        truth = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        found = float((fingerprint(first).sketch == fingerprint(second).sketch).mean())
        assert abs(found - truth) < 3 * (truth * (1 - truth) / 128) ** 0.5 + 0.01


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
