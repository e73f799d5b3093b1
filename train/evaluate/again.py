"""Measure a release again, from what is in its folder alone, and compare with what it states."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import ObjectiveConfig, ObjectiveName, build_objective
from train.documents import read_documents
from train.evaluate.bits_per_byte import EvaluateConfig, Text, evaluate_texts
from train.hugging_face import from_hugging_face
from train.records import BadInput, read_json
from train.tokens import encode_document, load_tokenizer, load_vocabulary

_TOLERANCE = 1e-4  # bits per byte: float32 sums in another order, on another processor


def measure_again(folder: Path) -> dict[str, Any]:
    """{"stated", "measured", "same", ...} in bits per byte. Raises BadInput if the folder lacks what it takes."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder")
    try:
        results = read_json(folder / "evaluation" / "results.json")
        stated = results["bits_per_byte"]
        by_document = {str(name): float(value) for name, value in stated["by_document"].items()}
        total, five_gram = float(stated["total"]), float(stated["five_gram"])
        config = EvaluateConfig(stride=int(stated["measure"]["stride"]) if stated["measure"]["left_to_right"] else 0)
        objective = ObjectiveConfig(**(results["objective"] | {"name": ObjectiveName(results["objective"]["name"])}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder}/evaluation/results.json: lacks what it takes to measure again ({error})") from error
    model, tokenizer, vocabulary = from_hugging_face(folder), load_tokenizer(folder), load_vocabulary(folder)
    first = vocabulary.opens
    texts = []
    for document in read_documents(folder / "data", "validation"):
        parts = [[first], *encode_document(tokenizer, document.text)]
        tokens = np.concatenate([np.asarray(part, np.int64) for part in parts])
        texts.append(Text(document.id, document.authors, document.n_bytes, tokens))
    if objective.name.value != model.OBJECTIVE:
        raise BadInput(f"{folder}: a {model.config.name} is not measured by {objective.name.value}")
    measured = evaluate_texts(model, build_objective(objective, vocabulary), texts, config).report
    if not texts or set(measured["by_document"]) != set(by_document):
        raise BadInput(f"{folder}: its held-out documents are not those of its evaluation")
    worst = max(abs(measured["by_document"][name] - value) for name, value in by_document.items())
    return {
        "stated": total,
        "measured": measured["total"],
        "largest_difference_of_a_document": worst,
        "same": math.isclose(total, measured["total"], abs_tol=_TOLERANCE) and worst <= 10 * _TOLERANCE,
        "five_gram": five_gram,
    }
