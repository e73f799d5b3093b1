"""DATA, TOK and TRACE: which texts went in, whose they are, what was left out, and that they are the ones."""

import hashlib
import re
from pathlib import Path
from typing import Any

from train.documents import is_validation, refusal
from train.evaluate import READ, drawn
from train.libre.audit import free
from train.libre.audit.finding import Answer, Checks, Status, failed, verified
from train.libre.audit.subject import Subject
from train.records import count_of
from train.release import attribution
from train.scoring import overlap, told_before, too_short
from train.tokens import TokenizerKind, save_tokenizer, texts_to_learn, train_tokenizer

_BEFORE_GENERATORS = 2018  # a text of an earlier date was not made by a language model
_NAMELESS = (*free.PUBLIC_DOMAIN, *free.PROGRAMS)  # licences that do not ask for the name of a text's author
_ASKED = ("id", "sha256", "source", "licence", "language")


def listed(subject: Subject) -> Answer:
    """DATA-01."""
    stated = subject.record["ingredients"]["documents"]
    count = 0
    for row in subject.rows("data/manifest.jsonl"):
        empty = [name for name in _ASKED if not row.get(name)]
        if empty or "authors" not in row or "date" not in row or not isinstance(row.get("n_bytes"), int):
            return failed(f"{str(row.get('id'))[:80]}: without {', '.join(empty) or 'authors, date or size'}")
        count += 1
    found = subject.survey
    if (count, found["documents_digest"]) != (stated["count"], stated["digest"]):
        return failed(f"{count} documents are listed, {stated['count']} are stated, or others than those")
    authors = found["by"]["author"]
    unknown = authors.get("unknown", {"documents": 0})["documents"]
    return verified(f"{count} documents by {len(authors) - bool(unknown)} authors, {unknown} by unknown ones")


def present(subject: Subject) -> Answer:
    """DATA-02."""
    found, gone = subject.survey, subject.withdrawn
    if gone:
        return since(subject, f"the other {found['kept'] - len(gone)} texts are here and have their digests")
    return verified(f"all {found['kept']} texts, {found['kept_bytes']:,} bytes, are here and have their digests")


def tokens(subject: Subject) -> Answer:
    """DATA-03."""
    stated = {split: part["digest"] for split, part in subject.record["ingredients"]["tokens"].items()}
    if subject.withdrawn:
        return since(subject)
    parted = [split for split, digest in subject.tokens.items() if stated.get(split) != digest]
    if parted:
        return failed(f"the documents give other tokens for {', '.join(parted)}")
    return verified(f"the documents give the same {len(subject.store('train')):,} training tokens again")


def excluded(subject: Subject) -> Answer:
    """DATA-04."""
    stated, found = subject.record["ingredients"]["excluded"], subject.survey
    rows = list(subject.rows("data/excluded.jsonl"))
    mute = [row["id"] for row in rows if not all(row.get(key) for key in ("rule", "rule_version", "reason", "stage"))]
    if mute:
        return failed(f"left out without rule, its version or reason: {str(mute[0])[:80]}")
    total = subject.json("data/summary.json")["seen"]
    if (len(rows), found["excluded_digest"]) != (stated["count"], stated["digest"]):
        return failed(f"{len(rows)} are listed as left out, {stated['count']} are stated, or others than those")
    if total != found["kept"] + len(rows):
        return failed(f"{total} were read, {found['kept']} kept and {len(rows)} left out: some are missing")
    return verified(f"{total} read = {found['kept']} kept + {len(rows)} left out, each with its rule and reason")


def licences(subject: Subject) -> Answer:
    """DATA-05."""
    for row in subject.rows("data/manifest.jsonl"):
        why = refusal(str(row.get("licence", "")), free.TEXTS)
        if why:
            return failed(f"{str(row.get('id'))[:80]}: {str(row.get('licence'))[:60]!r}: {why[:80]}")
        if "CC-PDDC" in row["licence"] and not row.get("licence_basis"):
            return failed(f"{str(row.get('id'))[:80]}: said to be in the public domain, without a reason")
    return verified(f"all free: {', '.join(subject.survey['by']['licence'])}")


def attributed(subject: Subject) -> Answer:
    """DATA-06."""
    if subject.text("ATTRIBUTION.md") != attribution(subject.path("data/manifest.jsonl")):
        return failed("ATTRIBUTION.md is not what the manifest gives")
    nameless = [
        row for row in subject.rows("data/manifest.jsonl") if not row["authors"] and refusal(row["licence"], _NAMELESS)
    ]
    if nameless:
        first, count = nameless[0], count_of(len(nameless), "document")
        return failed(
            f"{first['licence']} asks for the author's name, and {count} under such a licence have none: {first['id']}"
        )
    return verified(
        "ATTRIBUTION.md gives every document's licence and origin, and its author where the licence asks for it"
    )


def reserved(subject: Subject) -> Answer:
    """DATA-07."""
    sources = subject.recipe.data.sources
    mute = [name for name, source in sources.items() if not re.search(r"\d{4}-\d{2}-\d{2}", source.rights_reserved)]
    if mute:
        return failed(f"of {', '.join(mute)} nobody says whether rights were reserved, and on which day it was asked")
    said = "; ".join(f"{name}: {source.rights_reserved}" for name, source in sources.items())
    return Status.declared, said


def personal(subject: Subject) -> Answer:
    """DATA-08."""
    stated, found = subject.json("data/summary.json")["personal_data"], subject.survey["personal_data"]
    if subject.withdrawn:
        return since(subject)
    if stated != found:
        return failed(f"the texts hold {found}, stated are {str(stated)[:80]}")
    counts = ", ".join(f"{name} {count}" for name, count in found.items()) or "none"
    return verified(f"searched again by patterns (not for names of persons): {counts}")


def counted(subject: Subject) -> Answer:
    """DATA-09."""
    stated, found = subject.json("data/summary.json"), subject.survey
    asked = set(found) - ({"personal_data"} if subject.withdrawn else set())
    parted = [key for key in asked if stated.get(key) != found[key]]
    if parted:
        return failed(f"data/summary.json and the documents part in {', '.join(parted)}")
    kinds = ", ".join(found["by"])
    return verified(f"counted again and the same: {kinds}")


def synthetic(subject: Subject) -> Answer:
    """DATA-10."""
    young = 0
    for row in subject.rows("data/manifest.jsonl"):
        year = str(row.get("date", ""))[:4]
        young += not (year.isdigit() and int(year) < _BEFORE_GENERATORS)
    if not young:
        return (
            Status.not_applicable,
            f"every text is dated before {_BEFORE_GENERATORS}: older than what could generate it",
        )
    sources = subject.recipe.data.sources
    mute = [name for name, source in sources.items() if not source.generator]
    if mute:
        return failed(f"{young} texts are young or undated, and of {', '.join(mute)} nobody says what wrote them")
    return Status.declared, "; ".join(f"{name}: {source.generator}" for name, source in sources.items())


def in_both(subject: Subject) -> Answer:
    """DATA-11."""
    for row in subject.rows("data/manifest.jsonl"):
        if row["split"] != ("validation" if is_validation(row["sha256"]) else "train"):
            return failed(f"{str(row['id'])[:80]}: in {str(row['split'])[:20]}, where its digest does not put it")
    found = overlap(subject.index, subject.held_out())
    stated = subject.record["results"].get("overlap", found)
    if stated != found and not subject.withdrawn:
        return failed(f"the held-out tokens give {found}, stated is {str(stated)[:80]}")
    share, least = 100 * found["share"], found["at_least"]
    said = f"{share:.2f} % of the held-out tokens lie in passages of {least} or more that were trained on"
    task = subject.record["results"].get("task", {})
    if "read" not in task or not subject.bases or subject.bases[0].withdrawn or subject.withdrawn:
        return verified(said)
    asked = drawn((one.answer for one in subject.asked()), subject.recipe.evaluate.limit)
    told = told_before(subject.base().folder, asked)
    read = sum(share >= READ for share in told or [])
    if read != task["read"]:
        return failed(f"{read} of the answers asked for were read by its base, stated is {str(task['read'])[:20]}")
    short = too_short(asked)
    if task.get("short", short) != short:
        return failed(
            f"{short} of the answers asked for are too short to be found, stated is {str(task['short'])[:20]}"
        )
    lost = f", {short} are too short to be found" if short else ""
    return verified(f"{said}; {read} of {task['asked']} answers asked for stand in its base's training text{lost}")


def withdrawals(subject: Subject) -> Answer:
    """DATA-12."""
    stated = subject.record["withdrawals"]
    if stated:
        return failed(f"{len(stated)} withdrawals are stated, which this program cannot judge")
    still = {str(row["sha256"]) for row in subject.rows("data/manifest.jsonl")} - set(subject.withdrawn)
    for base in subject.bases:
        if held := still & base.withdrawn:
            return failed(f"{count_of(len(held), 'text')} withdrawn from its base {base.name}, and used here")
    if not subject.withdrawn:
        return verified("none is recorded")
    why = "; ".join(f"{said['date']}, on the word of {said['by']}: {said['why']}" for said in subject.withdrawals)
    gone = [
        f"{'; '.join(row['authors'])}: {row['title'] or row['id']} ({_when(row)})" for row in subject.withdrawn.values()
    ]
    return verified(
        f"{count_of(len(gone), 'text')} withdrawn ({why}): {', '.join(gone[:5])}; the weights still hold what they "
        "learned, and no rebuild can show where they came from. Without them: python -m train remake RELEASE --out DIR"
    )


def _when(row: dict[str, Any]) -> str:
    """At which steps a withdrawn text was learned from."""
    steps = row["steps"]
    if row["split"] != "train":
        return "held out, not learned from"
    return f"steps {steps['first']} to {steps['last']}, {steps['count']} of them" if steps else "steps not known"


def since(subject: Subject, rest: str = "") -> Answer:
    """Not applicable since the withdrawal."""
    found = f"not applicable since the withdrawal of {count_of(len(subject.withdrawn), 'text')} (DATA-12)"
    return Status.withdrawn, f"{found}; {rest}" if rest else found


def tokenizer(subject: Subject) -> Answer:
    """TOK-01."""
    stated, config = subject.record["ingredients"]["tokenizer"]["digest"], subject.recipe
    if config.tokenizer.kind is TokenizerKind.taken:
        return _taken(subject, stated)
    if subject.withdrawn:
        return since(subject)
    n_bytes = subject.survey["by"]["split"]["train"]["bytes"]
    texts = texts_to_learn(config.tokenizer, subject.documents("train"), n_bytes)
    again = train_tokenizer(config.tokenizer, texts)
    made = save_tokenizer(again, config.tokenizer, subject.work / "tokenizer", config.model.seq_len)
    here = _digest_of(subject, subject.work / "tokenizer")
    if made != stated or here:
        return failed(here or "trained again on the same documents, it is another")
    return verified("trained again on the same documents, it has the same digest")


def _taken(subject: Subject, stated: str) -> Answer:
    """The tokenizer of a model that was tuned is the base's."""
    base, made = subject.base(), subject.work / "tokenizer"
    if base.hand_over(made, subject.recipe.tune) != stated:
        return failed(f"it is not the tokenizer of {base.name}, whose weights were tuned")
    if here := _digest_of(subject, made):
        return failed(here)
    return verified(
        f"taken over from {base.name}, its settings changed for this tuning; how it was made is seen there (DEP-01)"
    )


def _digest_of(subject: Subject, made: Path) -> str:
    """What is wrong with the release's own two files, beside those that were made again."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        mine = hashlib.sha256(subject.path(name).read_bytes()).digest()
        if mine != hashlib.sha256((made / name).read_bytes()).digest():
            return f"{name} is not the one that was made again"
    return ""


def traceable(subject: Subject) -> Answer:
    """TRACE-01."""
    return verified(f"an index over {len(subject.index.tokens):,} tokens was built from the release")


CHECKS: Checks = {
    "DATA-01": listed,
    "DATA-02": present,
    "DATA-03": tokens,
    "DATA-04": excluded,
    "DATA-05": licences,
    "DATA-06": attributed,
    "DATA-07": reserved,
    "DATA-08": personal,
    "DATA-09": counted,
    "DATA-10": synthetic,
    "DATA-11": in_both,
    "DATA-12": withdrawals,
    "TOK-01": tokenizer,
    "TRACE-01": traceable,
}
