"""CARD and COST-02: what a person reads first, and what it would cost them to do it again."""

import re
from typing import Any

from train.libre.audit.finding import Answer, Checks, failed, verified
from train.libre.audit.subject import Subject
from train.plan import machines
from train.records import printable

_BLANK = ("[More Information Needed]", "TODO", "TBD")
_EU_SECTIONS = ("1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3")


def cards(subject: Subject) -> Answer:
    """CARD-01."""
    facts = _facts(subject)
    for name, wanted in facts.items():
        text = subject.text(name)
        if blank := [word for word in _BLANK if word in text]:
            return failed(f"{name}: says {blank[0]}")
        if lacking := [fact for fact in wanted if fact not in text]:
            return failed(f"{name}: {lacking[0]!r} is not in it, as it is in release.json and data/summary.json")
    summary = subject.text("standards/eu-summary.md")
    if empty := [number for number in _EU_SECTIONS if not re.search(rf"^\*\*{number} [^*]+\*\* *\w", summary, re.M)]:
        return failed(f"standards/eu-summary.md: nothing stands under {', '.join(empty)}")
    return verified(
        f"{', '.join(facts)}: every field is filled; sizes, licences and the score are those of the release"
    )


def _facts(subject: Subject) -> dict[str, list[str]]:
    """What each card must say."""
    record, summary = subject.record, subject.json("data/summary.json")
    kept, licences = f"{summary['kept']} ", list(summary["by"]["licence"])
    bits = record["results"]["bits_per_byte"]
    score = [] if bits["measure"].get("of") == "labels" else [f"{bits['total']:.4f}"]
    return {
        "README.md": [f"{record['weights']['parameters']:,}", record["weights"]["licence"], *score],
        "data/README.md": [kept, f"{summary['kept_bytes']:,}", *licences],
        "standards/eu-summary.md": [f"{kept}documents", *licences],
    }


def again(subject: Subject) -> Answer:
    """COST-02."""
    stated = subject.record["cost"]["again"]
    known = {machine.name: machine.price(subject.record["cost"]["outcome"]["flops"]) for machine in machines()}
    rows: list[dict[str, Any]] = [row for row in stated["machines"] if row["machine"] in known]
    for row in rows:
        ours = known[row["machine"]]
        if not (_near(row["hours"], ours.hours) and _near(row["eur"], ours.eur)):
            return failed(
                f"{row['machine']}: {row['hours']:.4f} h and {row['eur']:.4f} euros are stated, "
                f"{ours.hours:.4f} h and {ours.eur:.4f} euros were expected"
            )
    if not rows:
        return failed("no machine is named that this program knows (train/plan/machines.yaml)")
    ceiling, price = float(stated["bearable_eur"]), min(float(row["eur"]) for row in rows)
    named = ", ".join(f"{printable(row['machine'])}: {row['hours']:.2f} h, {row['eur']:.2f} euros" for row in rows)
    if not price <= ceiling:
        return failed(f"{price:.2f} euros at least, {ceiling:.2f} were called bearable: {named}")
    return verified(f"reckoned again, under the {ceiling:.0f} euros that are called bearable: {named}")


def _near(stated: float, ours: float) -> bool:
    """Within a factor of two (prices change from one version to the next), or too small to tell."""
    return ours / 2 - 1e-5 <= stated <= 2 * ours + 1e-5


CHECKS: Checks = {
    "COST-02": again,
    "CARD-01": cards,
}
