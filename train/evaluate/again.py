"""Measure a release again, from what is in its folder alone, and compare with what it states."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import ObjectiveConfig, ObjectiveName, build_objective
from train.documents import read_documents
from train.evaluate.answers import evaluate_answers, read_answers
from train.evaluate.bias import expected_groups
from train.evaluate.bits_per_byte import EvaluateConfig, Text, evaluate_texts
from train.evaluate.labels import evaluate_labels, judge_all
from train.hugging_face import from_hugging_face
from train.model import Labeller
from train.records import BadInput, Json, read_json
from train.tokens import Marker, encode_document, load_chat, load_tokenizer, load_vocabulary, read_labelled

_TOLERANCE = 1e-4  # bits per byte: float32 sums in another order, on another processor
_TABLES = ("by_document", "by_author", "by_language", "by_source")


def measure_again(folder: Path) -> dict[str, Any]:
    """{"stated", "measured", "same", ...} in bits per byte. Raises BadInput if the folder lacks what it takes."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder")
    try:
        results = read_json(folder / "evaluation" / "results.json")
        stated = results["bits_per_byte"]
        total, five_gram, _ = float(stated["total"]), float(stated["five_gram"]), stated["by_document"]
        bias = _stated_bias(results)
        config = EvaluateConfig(stride=int(stated["measure"]["stride"]) if stated["measure"]["left_to_right"] else 0)
        objective = ObjectiveConfig(**(results["objective"] | {"name": ObjectiveName(results["objective"]["name"])}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder}/evaluation/results.json: lacks what it takes to measure again ({error})") from error
    model, tokenizer, vocabulary = from_hugging_face(folder), load_tokenizer(folder), load_vocabulary(folder)
    labels = stated["measure"].get("of") == "labels"
    if labels != isinstance(model, Labeller) or not (labels or objective.name.value == model.OBJECTIVE):
        raise BadInput(f"{folder}: a {model.config.name} is not measured by {objective.name.value}")
    documents = list(read_documents(folder / "data", "validation"))
    if not documents:
        raise BadInput(f"{folder}: no document was held out")
    if isinstance(model, Labeller):
        marker = Marker(tokenizer, vocabulary, model.labels)
        measured = evaluate_labels(model, judge_all(read_labelled(documents), marker))[0]
    elif stated["measure"].get("of") == "answers":
        chat = load_chat(folder)
        if chat is None:
            raise BadInput(f"{folder}: answers were measured, and its tokenizer has no chat template")
        measured = evaluate_answers(model, read_answers(documents, chat)).report
    else:
        texts = []
        for document in documents:
            parts = [[vocabulary.opens], *encode_document(tokenizer, document.text)]
            texts.append(Text.of(document, np.concatenate([np.asarray(part, np.int64) for part in parts])))
        measured = evaluate_texts(model, build_objective(objective, vocabulary), texts, config).report
    worst = {kind: _difference(folder, kind, stated[kind], measured[kind]) for kind in _TABLES if kind in stated}
    same = math.isclose(total, measured["total"], abs_tol=_TOLERANCE) and max(worst.values()) <= 10 * _TOLERANCE
    if bias is not None:
        same &= _same_groups(bias, expected_groups(model, tokenizer, vocabulary, bias["languages"], config.batch_size))
    return {
        "stated": total,
        "measured": measured["total"],
        "largest_difference_of_a_document": worst["by_document"],
        "same": same,
        "five_gram": five_gram,
    }


def _difference(folder: Path, kind: str, stated: Any, measured: Mapping[str, float]) -> float:
    """The largest, of a table's rows. Raises BadInput where a table has other rows than it should."""
    if not isinstance(stated, dict) or set(stated) != set(measured):
        raise BadInput(f"{folder}: its evaluation states bits per byte {kind} of others than its held-out documents")
    try:
        gaps = [abs(value - float(stated[name])) for name, value in measured.items()]
    except (TypeError, ValueError) as error:
        raise BadInput(f"{folder}: what it states {kind} are not numbers ({error})") from error
    return math.inf if any(map(math.isnan, gaps)) else max(gaps)


def _stated_bias(results: Json) -> dict[str, Any] | None:
    """What is to be compared of it, if a release was asked at all."""
    if (bias := results.get("bias")) is None:
        return None
    return {"languages": list(map(str, bias["languages"])), "set": str(bias["set"]), "share": float(bias["share"])}


def _same_groups(stated: Json, found: Json | None) -> bool:
    """Whether the preference for a group is as stated. A set of pairs that is not ours any more cannot be asked again;
    and one pair may be so near that another processor's sums turn it."""
    if found is None or stated["set"] != found["set"]:
        return found is not None
    return bool(abs(stated["share"] - found["share"]) * found["pairs"] < 1.5)
