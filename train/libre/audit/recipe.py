"""CODE, CONF and COST: the program, its choices, and what it took."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from train.batches import check_order, order_digest
from train.config import config_digest
from train.libre.audit import free
from train.libre.audit.finding import Answer, Checks, Status, failed, verified
from train.libre.audit.subject import Subject
from train.optim import schedule_factor
from train.records import digest_file, printable
from train.release import code_digest
from train.run import count_flops_of_run

_ROOMS = {"data": "documents", "training": "run", "evaluation": "evaluate", "inference": "sample"}


def source(subject: Subject) -> Answer:
    """CODE-01."""
    stated = subject.record["ingredients"]["code"]
    if subject.source_digest() != stated["digest"]:
        return failed("recipe/source.tar is not the program that release.json names")
    lacking = [what for what, room in _ROOMS.items() if f"train/{room}/__init__.py" not in subject.source]
    if lacking:
        return failed(f"the source lacks its part for {', '.join(lacking)}")
    tree = {True: "", False: ", with changes that were not committed", None: ""}[stated["clean"]]
    return verified(f"{len(subject.source)} files, commit {str(stated['commit'])[:12]}{tree}")


def source_licence(subject: Subject) -> Answer:
    """CODE-02."""
    stated = subject.record["ingredients"]["code"]["licence"]
    if stated not in free.PROGRAMS:
        return failed(f"{str(stated)[:60]!r} is not a licence that both the OSI and the FSF call free")
    if subject.source.get("LICENSE") != digest_file(subject.path("LICENSE")):
        return failed("the licence in the source is not the one beside it")
    return verified(f"{stated}, its text in the archive")


def dependencies(subject: Subject) -> Answer:
    """CODE-03."""
    pins = dict(line.split("==", 1) for line in subject.text("recipe/constraints.txt").splitlines() if "==" in line)
    used = subject.json("recipe/dependencies.json")
    mute = [row["name"] for row in used["packages"] if not row.get("version") or not row.get("licence")]
    if mute:
        return failed(f"without version or licence: {', '.join(mute[:5])}")
    loose = [row["name"] for row in used["packages"] if _plain(row["name"]) not in {_plain(name) for name in pins}]
    if loose:
        return failed(f"not pinned in recipe/constraints.txt: {', '.join(loose[:5])}")
    parts = ", ".join(used["non_free_parts"]) or "none"
    return verified(f"{len(used['packages'])} packages with version and licence; parts that are not free: {parts}")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def config(subject: Subject) -> Answer:
    """CONF-01."""
    stated, recipe = subject.record["ingredients"], subject.recipe
    if subject.recipe_digest != stated["config"]["digest"]:
        return failed("recipe/config.yaml is not the config that release.json names")
    whole = config_digest(recipe) == subject.recipe_digest
    if not whole and stated["code"]["digest"] == code_digest():
        return failed("recipe/config.yaml leaves settings out that the program which made this has")
    seed, steps, sequences = recipe.run.seed, recipe.optim.steps, int(stated["order"]["sequences"])
    sizes = {"sequences": sequences, "sequences_per_step": recipe.optim.sequences_per_step}
    check_order(steps, **sizes)
    if order_digest(seed, steps, **sizes) != stated["order"]["digest"]:
        return failed("the order of the data is not the one that the seed gives")
    if parted := next(_other_rates(subject), ""):
        return failed(parted)
    said = "whole" if whole else "made by another version, whose settings are here; those that came later are as usual"
    return verified(f"{said}; seed {seed}, the order of the data and the learning rates follow from it")


def _other_rates(subject: Subject) -> Iterator[str]:
    """What is wrong with the learning rates of the metrics, beside those that the config gives."""
    optim, rows = subject.recipe.optim, subject.rows("training/metrics.jsonl")
    stated = {int(row["step"]): row["learning_rate_factor"] for row in rows if "learning_rate_factor" in row}
    for step, factor in stated.items():
        if not abs(schedule_factor(optim, step - 1) - factor) <= 1e-9:  # NaN is not near
            yield f"the learning rate of step {step} is not the one that the config gives"
    if optim.steps not in stated:
        yield "training/metrics.jsonl does not say the learning rate of the last step"


def reasons(subject: Subject) -> Answer:
    """CONF-02."""
    mute = [str(choice.get("key")) for choice in subject.record["choices"] if not choice.get("why")]
    if mute or not subject.record["choices"]:
        return failed(f"without a reason: {', '.join(mute) or 'all choices'}")
    return Status.declared, f"{len(subject.record['choices'])} choices carry their reason"


def cost(subject: Subject) -> Answer:
    """COST-01."""
    stated: Mapping[str, Any] = subject.record["cost"]
    outcome, recipe = stated["outcome"], subject.recipe
    model, sequences, loss = subject.lesson(begun=False)
    seen = recipe.optim.steps * recipe.optim.sequences_per_step * sequences.text_tokens
    if outcome["tokens"] != seen:
        return failed(f"{outcome['tokens']} tokens are stated, the config gives {seen}")
    flops = float(count_flops_of_run(model, sequences, recipe.optim, recipe.run.seed, twice=loss.compares))
    if abs(flops / outcome["flops"] - 1) > 1e-6:
        return failed(f"{outcome['flops']:.3g} operations are stated, the config gives {flops:.3g}")
    lacking = [key for key in ("kwh", "kg_co2e", "eur") if not isinstance(outcome.get(key), int | float)]
    if lacking or not isinstance(stated["forecast"], dict):
        return failed(
            f"not stated: {', '.join([*lacking, *([] if isinstance(stated['forecast'], dict) else ['forecast'])])}"
        )
    return verified(
        f"{flops:.3g} operations, counted again; declared: {outcome['seconds']:.0f} s "
        f"in {stated['attempts']} start(s), {outcome['kwh']:.3f} kWh, {outcome['eur']:.2f} euros; "
        f"earlier trials: {printable(str(stated.get('trials', 'not stated')))[:80]}"
    )


CHECKS: Checks = {
    "CODE-01": source,
    "CODE-02": source_licence,
    "CODE-03": dependencies,
    "CONF-01": config,
    "CONF-02": reasons,
    "COST-01": cost,
}
