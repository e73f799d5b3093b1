"""WGT, GATE, DEP, RUN and EVAL: the weights, the way they were made, and how good they are."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from train.evaluate import is_within, measure_again
from train.hugging_face import from_hugging_face
from train.libre.audit import data, exam, free
from train.libre.audit.finding import Answer, Checks, Status, failed, verified
from train.libre.audit.subject import Subject
from train.model import LanguageModel
from train.numerics import digest_tensors, master_weights
from train.records import BadInput, Json, base_of, printable
from train.release import BUILD, SIGNED, digest_from_sums
from train.run import load_weights, published_steps, read_tensors
from train.standards import front_matter
from train.tune import TuneName, merge, save_adapter

_CHAIN_ROOT = "0" * 64


def safe(subject: Subject) -> Answer:
    """WGT-01."""
    if pickles := subject.pickles():
        return failed(f"would have to be unpickled, which runs what is in them: {', '.join(pickles[:3])}")
    model = from_hugging_face(subject.folder)
    if digest_tensors(dict(model.named_parameters())) != subject.record["weights"]["digest"]:
        return failed("model.safetensors is not the weights that release.json names")
    return verified(f"{sum(p.numel() for p in model.parameters()):,} parameters, safetensors, with the stated digest")


def steps(subject: Subject) -> Answer:
    """WGT-02."""
    links, recipe = list(subject.rows("training/chain.jsonl")), subject.recipe
    count = min(recipe.run.publish, recipe.optim.steps)  # there are no more
    if len(links) <= count:
        return failed(f"the chain has {len(links)} digests, and the config publishes {count + 1} checkpoints")
    published = published_steps(recipe.optim.steps, count)
    if found := next(_breaks(subject, links, published), ""):
        return failed(found)
    return verified(
        f"initial weights made again; {len(links)} digests, {len(published)} checkpoints, to step {recipe.optim.steps}"
    )


def _breaks(subject: Subject, links: list[dict[str, Any]], published: set[int]) -> Iterator[str]:
    """What is wrong with the chain and the checkpoints."""
    recipe, stated, head = subject.recipe, subject.record["weights"], _CHAIN_ROOT
    model = subject.lesson(begun=True).model
    if not links or links[0]["step"] != 0 or links[0]["weights"] != digest_tensors(master_weights(model)):
        yield f"the chain does not begin with the initial weights that the {'base' if recipe.tune.on else 'seed'} gives"
    for link in links:
        head = hashlib.sha256(f"{head}{link['step']}{link['weights']}".encode()).hexdigest()
        if head != link["chain"]:
            yield f"the chain breaks at step {link['step']}"
    if missing := published - {link["step"] for link in links}:
        yield f"the chain leaves out step {min(missing)}"
    merged = recipe.tune.name is TuneName.lora
    last = _merged(subject, model) if merged else links[-1]["weights"]
    if (links[-1]["step"], last, head) != (recipe.optim.steps, stated["digest"], stated["chain"]):
        yield "the chain does not end with the published weights"
    for link in links:
        if link["step"] in published:
            yield from _damages(subject, int(link["step"]), link["weights"])


def _merged(subject: Subject, model: LanguageModel) -> str:
    """The digest of the base's weights with the last adapters in them; `model` is the base with adapters.

    Raises BadInput if the adapters in adapter/ are others.
    """
    recipe, name, made = subject.recipe, "adapter_model.safetensors", subject.work / "adapter"
    last = f"training/checkpoints/step-{recipe.optim.steps:06d}"
    load_weights(model, subject.path(f"{last}/model.safetensors").parent)
    save_adapter(model, recipe.tune, subject.base().name, made)
    if digest_tensors(read_tensors(subject.path(f"adapter/{name}"))) != digest_tensors(read_tensors(made / name)):
        raise BadInput(f"adapter/{name}: not the adapters of {last}")
    merge(model)
    return digest_tensors(dict(model.named_parameters()))


def _damages(subject: Subject, step: int, weights: str) -> Iterator[str]:
    folder = f"training/checkpoints/step-{step:06d}"
    if digest_tensors(read_tensors(subject.path(f"{folder}/model.safetensors"))) != weights:
        yield f"{folder}: not the weights of the chain"
    optimizer = digest_tensors(read_tensors(subject.path(f"{folder}/optimizer.safetensors")))
    if optimizer != subject.json(f"{folder}/state.json")["optimizer_digest"]:
        yield f"{folder}: not the optimizer's state that was saved"


def licence(subject: Subject) -> Answer:
    """WGT-03."""
    if "release.json" in subject.files:
        stated = str(subject.record["weights"]["licence"])
    else:
        stated = str(front_matter(subject.text("README.md")).get("license", ""))
        stated = {name.lower(): name for name in free.WEIGHTS}.get(stated.lower(), stated)
    if stated not in free.WEIGHTS:
        return failed(f"{printable(stated)[:60] or 'no licence is stated'}: not among the free licences")
    texts = [
        subject.text(name)
        for name in subject.files
        if re.fullmatch(r"(LICENSE|LICENCE|COPYING|USE_POLICY|README)(\.md|\.txt)?", name)
    ]
    if found := sorted({name for text in texts for name in free.clauses(text)}):
        return Status.person, f"{stated}, but the texts speak of: {', '.join(found)}; somebody has to read them"
    return Status.person, f"{stated}; no clause against a use, a trade or a number of users was found by its words"


def gate(subject: Subject) -> Answer:
    """GATE-01."""
    gates = [key for key in front_matter(subject.text("README.md")) if key.startswith("extra_gated")]
    if gates:
        return failed(f"the card asks for an agreement first: {', '.join(map(printable, gates))}")
    return verified("the card asks for nothing (what a server asks for cannot be seen in a folder)")


def base(subject: Subject) -> Answer:
    """DEP-01."""
    named = [key for key in front_matter(subject.text("README.md")) if key == "base_model"]
    if named and not subject.record["lineage"]:
        return failed("the card names a base model that release.json does not")
    status, found = steps(subject)
    if status is not Status.verified:
        return failed(f"whether it began from nothing cannot be seen: {found}")
    lineage = {row["digest"]: row for row in subject.record["lineage"]}
    for given in subject.bases:
        if given.digest not in lineage:
            return failed(f"{given.name}, given as its base, is not what its lineage names")
        if given.failed:
            return failed(f"its base {given.name} fails {', '.join(given.failed[:5])}")
    audited = f"; {', '.join(given.name for given in subject.bases)} audited as well" if subject.bases else ""
    if remade := [f"{row['release']} ({row['digest'][:12]}), {row['changes']}" for row in subject.record["lineage"]]:
        return verified(f"no weights, they begin from the seed; documents and recipe: {'; '.join(remade)}{audited}")
    return verified("none: the first checkpoint is the initial weights that the seed gives")


def _tuned_from(subject: Subject) -> Answer:
    """DEP-01 of a model whose weights began from another's."""
    row = base_of(subject.record)
    if row is None or row["digest"] != subject.recipe.tune.digest:
        return failed("release.json does not say from which model its weights began")
    name = f"{row['release']} ({row['digest'][:12]})"
    if wrong := next(_gaps(subject, row, name), ""):
        return failed(wrong)
    return verified(f"its weights begin from those of {name}, which was audited as well; {row['changes']}")


def _gaps(subject: Subject, row: Json, name: str) -> Iterator[str]:
    """What is not known of the model that was tuned."""
    if "declared" in row:
        yield f"its weights begin from {name}, which is no release: nobody says what that was made from"
    told, sums = subject.json("lineage/release.json"), subject.text("lineage/SHA256SUMS")
    if (told["digest"], told["weights"]["digest"]) != (row["digest"], row["weights"]):
        yield "lineage/release.json is another's than the lineage names"
    if digest_from_sums(sums, told) != row["digest"]:
        yield "lineage/SHA256SUMS and lineage/release.json do not give the digest that the lineage names"
    status, found = steps(subject)  # asks for the base, if it is not at hand
    if status is not Status.verified:
        yield f"whether it began from {name} cannot be seen: {found}"
    if lacking := subject.bases[0].failed:
        yield f"its base {name} fails {', '.join(lacking[:5])}"


def record(subject: Subject) -> Answer:
    """RUN-01."""
    statement, key = subject.json(BUILD), ""
    if SIGNED in subject.files:
        signed, key = subject.statement(SIGNED)
        if signed != statement:
            return failed(f"{SIGNED} signs another record than {BUILD}")
    about = statement["predicate"]["buildDefinition"]
    subjects = {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
    if (
        subjects.get("release.json") != subject.record["digest"]
        or subjects.get("weights") != subject.record["weights"]["digest"]
    ):
        return failed(f"{BUILD} is about another release")
    used = {row["name"]: row["digest"].get("sha256") for row in about["resolvedDependencies"]}
    ingredients = subject.record["ingredients"]
    parted = [name for name in ("documents", "code", "config") if used.get(name) != ingredients[name]["digest"]]
    if parted:
        return failed(f"the build record names other {', '.join(parted)}")
    taints = ", ".join(about["internalParameters"]["taints"]) or "nothing"
    said = f"signed by {key}, and the signature holds" if key else "not signed"
    return verified(f"complete, {said}; what could have tainted the run: {printable(taints)}")


def segments(subject: Subject) -> Answer:
    """RUN-02."""
    known = list(subject.rebuilds())
    if parted := [found for found in known if not found["identical"] and not _within(subject, found)]:
        return failed(f"{_by(parted[0])}: parted at step {parted[0]['parted_at']}")
    identical = [found for found in known if found["identical"] and found["level"] in {"R2", "R3"}]
    if not identical:
        return Status.not_yet, "nobody has replayed a part of it and said so under attest/rebuilds/"
    best = max(identical, key=lambda found: (found["believed"], found["level"]))
    if best["level"] == "R3":
        return _on_the_word(best, verified(f"the whole was remade and is identical, so its parts are, {_by(best)}"))
    return _on_the_word(best, verified(f"{len(best['segments'])} segments replayed, identical, {_by(best)}"))


def rebuilds(subject: Subject) -> Answer:
    """RUN-03."""
    whole = [found for found in subject.rebuilds() if found["level"] in {"R3", "R≈"}]
    if not whole:
        return Status.not_yet, "nobody has remade it whole and said so under attest/rebuilds/"
    if parted := [found for found in whole if not found["identical"] and not _within(subject, found)]:
        return failed(f"{_by(parted[0])}: parted at step {parted[0]['parted_at']}")
    whole.sort(key=lambda found: (found["believed"], found["identical"]), reverse=True)
    best = whole[0]
    if best["identical"]:
        by = [_by(found) for found in whole if found["identical"] and found["believed"] == best["believed"]]
        return _on_the_word(best, verified(f"remade whole and identical, {'; '.join(by[:3])}"))
    bounds = subject.record["results"]["seeds"]
    near = (
        f"remade whole, {_by(best)}: not identical from step {best['parted_at']} on; {best['score']:.4f} bits per "
        f"byte, between {bounds['low']:.4f} and {bounds['high']:.4f}, which were published beforehand from "
        f"{len(bounds['scores'])} seeds"
    )
    return _on_the_word(best, (Status.near, near))


def elsewhere(subject: Subject) -> bool:
    """Whether a witness, who is not the one that signed the release, remade it whole and identical on another kind of
    processor than it was made on."""
    here = _hardware(subject.record.get("environment"))
    publisher = subject.statement(SIGNED)[1] if SIGNED in subject.files else ""
    remade = [found for found in subject.rebuilds() if found["level"] == "R3" and found["identical"]]
    theirs = [found for found in remade if found["key"] in subject.witnesses and found["key"] != publisher]
    return bool(here) and any(_hardware(found["environment"]) not in {here, ()} for found in theirs)


def _hardware(environment: Any) -> tuple[str, ...]:
    """What a machine computes with, as it is described; nothing if it is not."""
    named = environment if isinstance(environment, dict) else {}
    return tuple(str(named[part]) for part in ("architecture", "processor", "accelerator") if part in named)


def _on_the_word(found: dict[str, Any], answer: Answer) -> Answer:
    """The answer if this rebuild was made here or by a witness; else it is what somebody says."""
    return answer if found["believed"] else (Status.declared, f"not here, and by no witness of yours: {answer[1]}")


def _within(subject: Subject, found: dict[str, Any]) -> bool:
    """Whether a rebuild that is not identical lies within the bounds that the release's own scores give."""
    results = subject.record["results"]
    return found["level"] == "R≈" and "seeds" in results and is_within(found["score"], results)


def _by(found: dict[str, Any]) -> str:
    """By whom, on what, and the key that signed it."""
    signed = f"signed by {found['key']}" if found["key"] else "not signed"
    return printable(f"by {str(found['by'])[:60]} on {str(found['on'])[:60]} ({signed})")


def scores(subject: Subject) -> Answer:
    """EVAL-01."""
    if any(row["split"] != "train" for row in subject.withdrawn.values()):
        return data.since(subject)
    found = measure_again(subject.folder)
    stated, results = subject.record["results"], subject.json("evaluation/results.json")
    if any(stated.get(part) != results.get(part) for part in ("bits_per_byte", "labels")):
        return failed("release.json and evaluation/results.json state different results")
    if found["apart"]:
        return failed(found["apart"][0])
    beside = "".join(f", {name} {score:.4f}" for name, score in found["scores"].items())
    guesses = "; the guesses beside them not, since the withdrawal" if subject.withdrawn and "labels" in stated else ""
    return verified(
        f"measured again: {found['measured']:.4f} bits per byte{beside}, as stated{guesses}{_asked(subject)}"
    )


def _asked(subject: Subject) -> str:
    """Which tasks' scores are stated, by whom. The task of a tuning is looked at again; what others ask is not in the
    release."""
    results = subject.record["results"]
    task = {results["task"]["name"]: results["task"]} if "task" in results else {}
    again = f"; {exam.look_at_answers(subject)}" if exam.has_answers(subject) else ""
    by = {"its publisher": {**({} if again else task), **results.get("tasks", {})}}
    for later in subject.evaluations():
        by[str(later["by"])] = by.get(str(later["by"]), {}) | later["tasks"]
    said = [f"{', '.join(tasks)} (by {who})" for who, tasks in by.items() if tasks]
    return again + (printable(f"; declared, not asked again: {'; '.join(said)}")[:240] if said else "")


CHECKS: Checks = {
    "WGT-01": safe,
    "WGT-02": steps,
    "WGT-03": licence,
    "GATE-01": gate,
    "DEP-01": lambda subject: (_tuned_from if subject.recipe.tune.on else base)(subject),
    "RUN-01": record,
    "RUN-02": segments,
    "RUN-03": rebuilds,
    "EVAL-01": scores,
}
