"""Two releases side by side: ingredients, choices, cost, scores, and what each left out that the other learned from.

Whether one is better is asked of the held-out documents that both were measured on: they are drawn again, with
repetition, ten thousand times (the paired bootstrap: Efron, 1979; Koehn, 2004). The difference is larger than chance if
95 % of the draws agree on its sign. Few documents, and one seed of each model: it says what other documents of the
kind might show, not what another seed would.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.config import read_config, resolved
from train.documents import read_documents
from train.evaluate import bootstrap, read_answers
from train.libre.compare_tasks import compare_exams, compare_tasks
from train.libre.examine import tasks_of
from train.model import Purpose, purpose_of
from train.records import BadInput, Json, printable, printable_lines, read_json, read_rows
from train.release import read_release, unlike_schema
from train.tokens import load_chat, read_labelled

_SCORES = ("total", "five_gram", "unigram")
_COST = ("tokens", "training_seconds", "seconds", "flops", "peak_memory_gb")
_DOCUMENT = {"sha256": str, "id": str, "split": str, "authors": list, "n_bytes": int}  # what is read of its row


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Everything in which two releases differ, for a program; `render_comparison` says it to a person."""
    folders = (first, second)
    records = [_record(folder) for folder in folders]
    texts = [_documents(folder) for folder in folders]
    recipes = [dict(_flat(resolved(read_config(folder / "recipe" / "config.yaml")))) for folder in (first, second)]
    try:
        return {
            "names": [record["name"] for record in records],
            "digests": [record["digest"] for record in records],
            "same": {
                part: records[0]["ingredients"][part]["digest"] == records[1]["ingredients"][part]["digest"]
                for part in ("documents", "excluded", "tokenizer", "code")
            },
            "documents": [record["ingredients"]["documents"] for record in records],
            "excluded": [record["ingredients"]["excluded"] for record in records],
            "learned_by_one_alone": _by_one_alone(texts, [first, second]),
            "choices": {
                key: [recipe.get(key) for recipe in recipes]
                for key in sorted(set(recipes[0]) | set(recipes[1]))
                if recipes[0].get(key) != recipes[1].get(key)
            },
            "parameters": [record["weights"]["parameters"] for record in records],
            "cost": {key: [record["cost"]["outcome"][key] for record in records] for key in _COST},
            "scores": {key: [float(record["results"]["bits_per_byte"][key]) for record in records] for key in _SCORES},
            "tasks": {
                **compare_exams(records, texts, folders),
                **compare_tasks(tasks_of(first), tasks_of(second)),
            },
            "difference": _difference([record["results"]["bits_per_byte"] for record in records], texts, folders),
        }
    except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
        raise BadInput(f"{first} or {second}: something in it is not to be read: {printable(str(error))}") from error


def _record(folder: Path) -> dict[str, Any]:
    """release.json, as its schema says."""
    record = read_release(folder)
    if wrong := unlike_schema(record):
        raise BadInput(f"{folder}: release.json is not as its schema says: {wrong}")
    return record


def _documents(folder: Path) -> dict[str, Json]:
    """The manifest by sha256."""
    rows = list(read_rows(folder / "data" / "manifest.jsonl"))
    if not all(type(row.get(key)) is kind for row in rows for key, kind in _DOCUMENT.items()):
        raise BadInput(f"{folder}/data/manifest.jsonl: a line that is no document: {', '.join(_DOCUMENT)}")
    return {row["sha256"]: row for row in rows}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """("model.n_layers", 4), ..."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _by_one_alone(texts: list[dict[str, Json]], folders: list[Path]) -> list[dict[str, Any]]:
    """Of each, the training documents that the other did not learn from; and by which rules the other left them out."""
    train = [{digest for digest, row in rows.items() if row["split"] == "train"} for rows in texts]
    found = []
    for mine, other in ((0, 1), (1, 0)):
        alone = train[mine] - train[other]
        rules = Counter(
            str(row["rule"]) for row in read_rows(folders[other] / "data" / "excluded.jsonl") if row["sha256"] in alone
        )
        authors = Counter(str(author) for digest in alone for author in texts[mine][digest]["authors"] or ["unknown"])
        found.append(
            {"documents": len(alone), "authors": dict(authors.most_common()), "left_out_there_by": dict(rules)}
        )
    return found


def _difference(bits: list[Json], texts: list[dict[str, Json]], folders: Sequence[Path]) -> dict[str, Any]:
    """Second less first, in bits per byte, with the interval that 95 % of the draws lie in."""
    if why := _not_alike([one["measure"] for one in bits], folders):
        return {"comparable": False, "why": why}
    sizes_of = [_sizes(folders[side], bits[side]["measure"], texts[side]) for side in (0, 1)]
    by_text = [
        {digest: (bits[side]["by_document"][row["id"]], sizes_of[side][digest]) for digest, row in texts[side].items()
         if row["id"] in bits[side]["by_document"] and sizes_of[side].get(digest, 0) > 0}
        for side in (0, 1)
    ]  # fmt: skip
    shared = sorted(set(by_text[0]) & set(by_text[1]))
    if len(shared) < 2:
        return {"comparable": False, "why": "fewer than two held-out documents in common"}
    sizes = np.array([by_text[0][digest][1] for digest in shared], float)
    gaps = np.array([by_text[1][digest][0] - by_text[0][digest][0] for digest in shared]) * sizes
    low, high = bootstrap(np.stack([gaps, sizes], 1), lambda sums: np.asarray(sums[:, 0] / sums[:, 1]))
    return {
        "comparable": True,
        "documents": len(shared),
        "bits_per_byte": float(gaps.sum() / sizes.sum()),
        "interval": [low, high],
        "larger_than_chance": low > 0 or high < 0,
    }


def _not_alike(measures: list[Json], folders: Sequence[Path]) -> str:
    """Why bits per byte of the two are not to be compared; "" if they are."""
    of = [str(measure.get("of", "texts")) for measure in measures]
    if of == ["labels", "labels"]:
        puts = [purpose_of(read_json(folder / "config.json")) for folder in folders]
        if puts[0] != puts[1]:
            return "they put other labels on what they read"
        tokenizers = [read_json(folder / "tokenizer.json") for folder in folders]
        spans = puts[0] is not None and puts[0][0] is Purpose.extract
        return "each finds the answer among tokens of its own" if spans and tokenizers[0] != tokenizers[1] else ""
    if of[0] != of[1]:
        return f"one is measured by its {printable(of[0])}, the other by its {printable(of[1])}"
    if measures[0]["left_to_right"] != measures[1]["left_to_right"]:
        return "one predicts every token from those before it, the other hidden ones from both sides"
    return "" if measures[0]["left_to_right"] else "each predicts hidden tokens of its own"


def _sizes(folder: Path, measure: Json, rows: dict[str, Json]) -> dict[str, int]:
    """By sha256, the bytes that a document's bits are counted for: its own, those of its answers, or of what its labels
    are of. A text that was withdrawn has none."""
    of = measure.get("of", "texts")
    if of == "texts":
        return {digest: int(row["n_bytes"]) for digest, row in rows.items()}
    held_out = [one for one in read_documents(folder / "data", "validation") if not one.is_withdrawn()]
    if of == "labels":
        return {document.sha256: len(example.text.encode()) for document, example in read_labelled(held_out)}
    if (chat := load_chat(folder)) is None:
        raise BadInput(f"{folder}: answers were measured, and its tokenizer has no chat template")
    asked = zip(held_out, read_answers(held_out, chat), strict=True)
    return {document.sha256: one.answer.n_bytes for document, one in asked}


def render_comparison(found: Json) -> str:
    """The comparison as a person reads it."""
    lines = [
        _line("", *found["names"]),
        _line("digest", *(digest[:12] for digest in found["digests"])),
        "",
    ]
    lines += ["Ingredients"]
    lines.append(_line("documents", *(f"{d['count']} ({d['bytes']:,} bytes)" for d in found["documents"])))
    lines.append(_line("left out", *(d["count"] for d in found["excluded"])))
    lines += [f"  the same {part}" for part, same in found["same"].items() if same]
    for name, alone in zip(found["names"], found["learned_by_one_alone"], strict=True):
        if alone["documents"]:
            who = ", ".join(f"{printable(author)} {count}" for author, count in list(alone["authors"].items())[:8])
            rules = ", ".join(f"{printable(rule)} {count}" for rule, count in alone["left_out_there_by"].items())
            lines.append(f"  learned by {printable(name)} alone: {alone['documents']} ({who})")
            lines += [f"    left out of the other by: {rules}"] if rules else []
    lines += ["", "Choices that differ"]
    lines += [_line(key, *values) for key, values in found["choices"].items()]
    lines += ["", "Cost", _line("parameters", *(f"{value:,}" for value in found["parameters"]))]
    lines += [_line(key, *values) for key, values in found["cost"].items()]
    lines += ["", "Bits per byte"]
    lines += [_line(key, *(f"{value:.4f}" for value in values)) for key, values in found["scores"].items()]
    lines += ["", "Tasks"] if found["tasks"] else []
    lines += [line for name, task in found["tasks"].items() for line in _task_lines(printable(name), task)]
    return printable_lines("\n".join([*lines, "", _verdict(found)]))


def _task_lines(name: str, task: Json) -> Iterator[str]:
    if not task["comparable"]:
        yield f"  {name}: not to be compared: {task['why']}"
        return
    asked = printable(str(task["questions"]))
    for score, row in task["scores"].items():
        low, high = row["interval"]
        said = "larger than chance" if row["larger_than_chance"] else "no larger than chance"
        yield _line(f"{name} {score}"[:36], *row["values"])
        yield f"    {row['difference']:+.4f} ({low:+.4f} to {high:+.4f}) on {asked} questions: {said}"


def _line(name: str, first: object, second: object) -> str:
    return f"  {printable(name):36} {_short(first):>28} {_short(second):>28}"


def _short(value: object) -> str:
    text = "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else printable(str(value))
    return text if len(text) <= 28 else f"{text[:27]}…"


def _verdict(found: Json) -> str:
    gap = found["difference"]
    if not gap["comparable"]:
        return f"Not to be compared: {gap['why']}."
    names = [printable(name) for name in found["names"]]
    better = names[0] if gap["bits_per_byte"] > 0 else names[1]
    low, high = gap["interval"]
    said = (
        f"On the {gap['documents']} held-out documents in common, {names[1]} needs {gap['bits_per_byte']:+.4f} bits "
        f"per byte (95 % of draws: {low:+.4f} to {high:+.4f})"
    )
    if not gap["larger_than_chance"]:
        return f"{said}: no larger than chance."
    return f"{said}: {better} is better, by more than the choice of documents explains. Another seed was not tried."
