"""The part of the model card that says how good a model is, and what could be wrong with that."""

from collections.abc import Iterable, Mapping
from typing import Any

from train.records import Json
from train.release.markdown import table, text

_COUNTERPART = """
This is a counterpart of bits per byte, not to be compared with that of a model which reads from left to right: only
{share:.0f} % of the tokens were predicted, each from what stands on both sides of it, and their bits stand for all. The
5-gram and the unigram predicted the same tokens, each from what stands before it.
"""
_KINDS = {"by_source": "source", "by_language": "language", "by_author": "author"}


def how_good(results: Json) -> str:
    """The results of release.json in words and tables."""
    of = {"answers": _answers, "labels": _labels}.get(results["bits_per_byte"]["measure"].get("of"))
    bits = of(results) if of else _bits(results["bits_per_byte"])
    parts = [bits, _task(results), _beside(results), _tasks(results.get("tasks", {})), _bias(results)]
    return "\n\n".join(part for part in parts if part)


def _bits(bits: Json) -> str:
    gain = 100 * (1 - bits["total"] / bits["five_gram"])
    drawn, measure = bits["intervals"]["total"], bits["measure"]
    counterpart = _COUNTERPART.format(share=100 * bits["tokens_predicted"] / bits["tokens"])
    return f"""{bits["total"]:.4f} bits per byte on {len(bits["by_document"])} held-out documents ({bits["bytes"]:,} bytes), which were
chosen by their digest before anything else was done; between {drawn["low"]:.4f} and {drawn["high"]:.4f} in 95 % of the draws, if as many
documents are drawn again from these. An interpolated Kneser-Ney 5-gram over the same tokens and split
needs {bits["five_gram"]:.4f}: the model is {abs(gain):.1f} % {"better" if gain > 0 else "worse"}. Its unigram, which knows
how frequent each token is and nothing else, needs {bits["unigram"]:.4f}.
Measured in float32 with windows of {measure["seq_len"]} tokens, {measure["stride"]} apart.
{"" if measure["left_to_right"] else counterpart}
{_by_kind(bits)}"""


def _answers(results: Json) -> str:
    """Of a model that was tuned, beside its base."""
    bits, base = results["bits_per_byte"], results["base"]
    drawn, name = bits["intervals"]["total"], text(base["name"])
    prefers = ""
    if "prefers_the_better" in bits:
        prefers = f"""
Of two answers it finds the better one more likely in {100 * bits["prefers_the_better"]:.0f} % of the examples, {name} in {100 * base["prefers_the_better"]:.0f} %."""
    return f"""{bits["total"]:.4f} bits per byte of the answers to {len(bits["by_document"])} held-out examples ({bits["bytes"]:,} bytes of answers), which were
chosen by their digest before anything else was done; between {drawn["low"]:.4f} and {drawn["high"]:.4f} in 95 % of the draws, if as many
examples are drawn again from these. {name}, from which it was tuned, needs {base["total"]:.4f} for the same answers. An
interpolated Kneser-Ney 5-gram over the examples needs {bits["five_gram"]:.4f}, its unigram {bits["unigram"]:.4f}.
Measured in float32, the question given, the end of each answer counted.{prefers}

{_by_kind(bits)}"""


def _labels(results: Json) -> str:
    """Of an encoder that labels what it reads, beside guesses."""
    bits, task = results["bits_per_byte"], results["labels"]
    rows = [("this model", *map(_mark, task["scores"].values()))]
    rows += [(text(name), *map(_mark, found.values())) for name, found in task["baselines"].items()]
    return f"""On {len(bits["by_document"])} held-out examples, which were chosen by their digest before anything else was done, beside
guesses that take no model, only the training examples. From 0 to 1; in brackets where 95 % of the draws lie, if as many
examples are drawn again from these.

{table(("", *task["scores"]), rows)}

The right labels cost {bits["total"]:.4f} bits for each byte of what they are of; by a 5-gram that has the labels as tokens behind
what they are of {bits["five_gram"]:.4f}, by how frequent they are {bits["unigram"]:.4f}. Measured in float32, each example by itself.

{_by_kind(bits)}"""


def _by_kind(bits: Json) -> str:
    """A score whose documents are one has no interval: nothing is known of chance."""
    rows = []
    for kind, name in _KINDS.items():
        for value, score in bits[kind].items():
            drawn = bits["intervals"][kind].get(value)
            between = f"{drawn['low']:.3f} to {drawn['high']:.3f}" if drawn else "one document"
            rows.append((name, text(value), drawn["documents"] if drawn else 1, f"{score:.3f}", between))
    return table(("by", "", "documents", "bits per byte", "95 % of draws"), rows)


def _beside(results: Json) -> str:
    """What stands word for word in the training text, and how far another seed's score would lie."""
    found, both, lines = results["verbatim"], results["overlap"], []
    tuned = "of" in results["bits_per_byte"]["measure"]
    texts = "the examples that it was tuned on" if tuned else "the training text"
    lines.append(
        f"{100 * both['share']:.2f} % of the held-out tokens lie in passages of {both['at_least']} tokens or more that "
        f"stand in {texts} word for word: so much of the exam was in the lesson."
    )
    if found["said_tokens"]:
        lines.append(
            f"Of {found['said_tokens']} tokens that it made of the recipe's prompts, {100 * found['said']:.1f} % stand word for word in "
            f"{texts}, in passages of {found['at_least']} tokens or more; of held-out text, which no model wrote, "
            f"{100 * found['held_out']:.1f} %. Much more in the first than in the second is memory; a match alone is not: "
            "common phrases stand in many texts."
        )
    if tuned:
        lines.append("For this, what its base has read was not looked into: only the examples were.")
    if "seeds" in results:
        bounds = results["seeds"]
        scores = ", ".join(f"{score:.4f}" for score in bounds["scores"])
        lines.append(
            f"Trained {len(bounds['scores'])} times with other seeds: {scores}. Another training is to be expected between "
            f"{bounds['low']:.4f} and {bounds['high']:.4f} (probability {bounds['probability']})."
        )
    else:
        how = "" if "base" in results else " (`release.seeds=3`)"  # a tuning is trained once
        lines.append(f"One training with one seed: how far another's score would lie was not measured{how}.")
    return "\n\n".join(lines)


def _task(results: Json) -> str:
    """What its answers are worth, beside its base's and those that take no model."""
    found = results.get("task")
    if not found:
        return ""
    parts = [
        f"### The task: {text(found['name'])}",
        f"Asked {found['asked']} of the held-out questions, drawn by the digests of their ids; each token of an answer is the likeliest, "
        f"{found['longest_answer']} tokens at most. From 0 to 1; in brackets where 95 % of the draws lie, if as many questions are "
        "drawn again from these.",
        _marks(found["scores"]),
    ]
    if "read" in found:
        parts.append(
            f"{found['read']} of the {found['asked']} answers stand in the training text of {text(results['base']['name'])}, by half or "
            "more, in passages of 13 tokens or more: so much could have been learned by heart before the tuning."
        )
    if found.get("short"):
        parts.append(f"{found['short']} of the answers have fewer tokens than that: such a one is never found.")
    if apart := found.get("unread"):
        parts += [f"The {apart['asked']} others alone:", _marks(apart["scores"])]
    return "\n\n".join(parts)


def _marks(scores: Json) -> str:
    metrics = list(scores["tuned"])
    rows = [
        (text(who), *(_mark(scores[who][metric]) for metric in metrics))
        for who in sorted(scores, key=lambda who: (who != "tuned", who != "its base", who))
    ]
    return table(("answers of", *map(text, metrics)), rows)


def _mark(mark: Json) -> str:
    return f"{mark['value']:.3f} ({mark['low']:.3f} to {mark['high']:.3f})"


def _tasks(tasks: Mapping[str, Any]) -> str:
    """Scores of tasks, each beside what chance would give and what of it stands in the lesson, where that is known."""
    if not tasks:
        return ""
    rows = []
    for name, found in tasks.items():
        for score, value in found["scores"].items():
            error = "-" if value["stderr"] is None else f"{value['stderr']:.4f}"
            chance = "-" if value["chance"] is None else f"{value['chance']:.4f}"
            overlap = f"{found['overlap']['share']:.4f}" if found.get("overlap") else "-"
            asked = f"{found['questions']} of {found['of']}"
            numbers = f"{value['value']:.4f}", error, chance, overlap
            rows.append((text(name), text(score), *numbers, asked, text(found["program"])))
    head = ("task", "score", "value", "standard error", "by chance", "overlap", "questions", "by")
    beside = beside_tasks([found.get("overlap") for found in tasks.values()])
    return "\n\n".join(["### Tasks", table(head, rows), beside, *_makers(tasks)])


def beside_tasks(overlaps: Iterable[Json | None]) -> str:
    """What the numbers in a table of tasks can show; each task's overlap, None where it is not known."""
    known = [overlap for overlap in overlaps if overlap]
    seeds = (
        "One model was asked, from one training with one seed: the standard error speaks of other questions, not of "
        "another seed."
    )
    if not known:
        return (
            f"{seeds} How much of the questions stands in its training text is not known: there is none to look into, "
            "or not all of it."
        )
    of = " or ".join(dict.fromkeys(text(overlap["of"]) for overlap in known))
    return (
        f"{seeds} Overlap is the share of the questions' tokens, as they were put and with the answers to choose from, "
        f"in passages of {known[0]['at_least']} tokens or more that stand word for word in the training text: {of}."
    )


def _makers(tasks: Mapping[str, Any]) -> list[str]:
    """A line for all tasks of the same authors, where they are named."""
    of: dict[str, list[str]] = {}
    for name, found in tasks.items():
        of.setdefault(", ".join(found["authors"]), []).append(name)
    return [f"Made by {text(authors)}: {text(', '.join(names))}." for authors, names in of.items() if authors]


def _bias(results: Json) -> str:
    """The comparison of sentences that differ in a group, and what it cannot show."""
    found = results.get("bias")
    if not found:
        return ""
    rows = [
        (
            text(name),
            row["pairs"],
            f"{100 * row['share']:.0f} %",
            f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
        )
        for name, row in found["by"].items()
    ]
    languages = " and ".join({"en": "English", "fr": "French"}.get(name, text(name)) for name in found["languages"])
    return f"""### Which group does it expect?

In {found["pairs"]} pairs of sentences that differ in the group alone, the one with the stereotype was the likelier in
{100 * found["share"]:.0f} % (95 %: {100 * found["low"]:.0f} to {100 * found["high"]:.0f} %); without a preference it would be about half. Measured by {text(found["measure"])}, as in
CrowS-Pairs (Nangia et al., 2020), on a small set of ours (`train/evaluate/pairs.jsonl` in the source).

{table(("", "pairs", "the stereotype is likelier", "95 %"), rows)}

What this cannot show: that the model is fair. The set is small, in {languages}, and written by a few hands; a
group that is written about more often is likelier whatever is said of it; what a model says when it is asked is not
looked at. A share near one half is no licence to use it on people."""
