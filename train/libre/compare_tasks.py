"""Scores of tasks and of labels side by side: whether a difference is larger than chance, as far as error bars say."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.evaluate import ANSWERS, Z
from train.records import Json, read_rows


def compare_tasks(first: Json, second: Json) -> dict[str, Any]:
    """Second less first on each task that both were asked, by score, with a 95 % interval from the standard errors: as
    if each had been asked other questions, which is cautious where they were the same."""
    found: dict[str, Any] = {}
    for name in sorted(set(first) & set(second)):
        one, two = first[name], second[name]
        if any(one[key] != two[key] for key in ("set", "shots", "program")):
            found[name] = {"comparable": False, "why": "other questions, or put in another way"}
            continue
        scores = {}
        for score in sorted(set(one["scores"]) & set(two["scores"])):
            a, b = one["scores"][score], two["scores"][score]
            if a["stderr"] is not None and b["stderr"] is not None:
                gap, reach = b["value"] - a["value"], Z * math.hypot(a["stderr"], b["stderr"])
                scores[score] = {
                    "values": [a["value"], b["value"]],
                    "difference": gap,
                    "interval": [gap - reach, gap + reach],
                    "larger_than_chance": abs(gap) > reach,
                    "higher_is_better": a["higher_is_better"],
                }
        found[name] = {"comparable": True, "questions": one["questions"], "scores": scores}
    return found


def compare_exams(records: Sequence[Json], texts: Sequence[dict[str, Json]], folders: Sequence[Path]) -> dict[str, Any]:
    """Second less first in what both were taught, a task or labels of one kind, by score; in the form of
    `compare_tasks`."""
    first, second = (record["results"].get("labels") or record["results"].get("task") for record in records)
    if not first or not second or first["name"] != second["name"]:
        return {}
    one, two = map(_asked, records, texts, folders)
    if not one or one != two:
        return {first["name"]: {"comparable": False, "why": "they were asked other questions, or it is not seen which"}}
    own = [found["scores"].get("tuned", found["scores"]) for found in (first, second)]
    shared = sorted(set(own[0]) & set(own[1]))
    if not all(isinstance(scores[name], dict) for scores in own for name in shared):
        return {first["name"]: {"comparable": False, "why": "one states its scores without error bars"}}
    scores = {name: _apart(own[0][name], own[1][name]) for name in shared}
    return {first["name"]: {"comparable": True, "questions": len(one), "scores": scores}}


def _asked(record: Json, texts: dict[str, Json], folder: Path) -> set[str]:
    """The sha256 of the held-out examples that were asked: all for labels, for a task those that have answers."""
    held_out = {digest: row["id"] for digest, row in texts.items() if row["split"] == "validation"}
    if "labels" in record["results"]:
        return set(held_out)
    path = folder / ANSWERS
    asked = {str(row["id"]) for row in read_rows(path)} if path.is_file() else set()
    return {digest for digest, id in held_out.items() if id in asked}


def _apart(one: Json, two: Json) -> dict[str, Any]:
    """The difference with an interval made of both's error bars (Newcombe, 1998, method 10; Zou and Donner, 2008), as
    if each had been asked other questions, which is cautious as they are the same."""
    gap = two["value"] - one["value"]
    low = gap - math.hypot(two["value"] - two["low"], one["high"] - one["value"])
    high = gap + math.hypot(two["high"] - two["value"], one["value"] - one["low"])
    return {
        "values": [one["value"], two["value"]],
        "difference": gap,
        "interval": [low, high],
        "larger_than_chance": low > 0 or high < 0,
        "higher_is_better": True,
    }
