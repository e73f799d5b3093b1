"""CARD and COST-02: what a person reads first, and what it would cost them to do it again."""

from train.libre.audit.finding import Answer, Checks, failed, verified
from train.libre.audit.subject import Subject

_CARDS = ("README.md", "data/README.md", "standards/eu-summary.md")
_BLANK = ("[More Information Needed]", "TODO", "TBD")


def cards(subject: Subject) -> Answer:
    """CARD-01."""
    for name in _CARDS:
        text = subject.text(name)
        if blank := [word for word in _BLANK if word in text]:
            return failed(f"{name}: says {blank[0]}")
        if len(text) < 400:
            return failed(f"{name}: says next to nothing")
        if str(subject.record["weights"]["parameters"]) not in text.replace(",", "") and name == "README.md":
            return failed(f"{name}: speaks of another model than release.json")
    return verified(f"{', '.join(_CARDS)}: every field is filled")


def again(subject: Subject) -> Answer:
    """COST-02."""
    stated = subject.record["cost"]["again"]
    ceiling, price = float(stated["bearable_eur"]), min(float(row["eur"]) for row in stated["machines"])
    named = ", ".join(f"{row['machine']}: {row['hours']:.2f} h, {row['eur']:.2f} euros" for row in stated["machines"])
    if price > ceiling:
        return failed(f"{price:.2f} euros at least, {ceiling:.2f} were called bearable: {named}")
    return verified(f"under the {ceiling:.0f} euros that are called bearable: {named}")


CHECKS: Checks = {
    "COST-02": again,
    "CARD-01": cards,
}
