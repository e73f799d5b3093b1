"""Measure a release again, from what is in its folder alone, and compare with what it states."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from train.documents import read_documents
from train.evaluate.bits_per_byte import EvaluateConfig, Text, evaluate_texts
from train.hugging_face import from_hugging_face
from train.records import BadInput, read_json
from train.tokens import encode_document, load_tokenizer, token_id

_TOLERANCE = 1e-4  # bits per byte: float32 sums in another order, on another processor


def measure_again(folder: Path) -> dict[str, Any]:
    """{"stated", "measured", "same", ...} in bits per byte. Raises BadInput if the folder lacks what it takes."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder")
    try:
        stated = read_json(folder / "evaluation" / "results.json")["bits_per_byte"]
        stride, by_document = stated["measure"]["stride"], stated["by_document"]
        first_token = read_json(folder / "tokenizer_config.json")["bos_token"]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{folder}: its evaluation or its tokenizer's config lacks {error}") from error
    model, tokenizer = from_hugging_face(folder), load_tokenizer(folder)
    first = token_id(tokenizer, first_token)
    texts = []
    for document in read_documents(folder / "data", "validation"):
        parts = [[first], *encode_document(tokenizer, document.text)]
        tokens = np.concatenate([np.asarray(part, np.int64) for part in parts])
        texts.append(Text(document.id, document.authors, document.n_bytes, tokens))
    if {text.id for text in texts} != set(by_document):
        raise BadInput(f"{folder}: its held-out documents are not those of its evaluation")
    config = EvaluateConfig(stride=stride)
    measured = evaluate_texts(model, texts, config)
    worst = max(abs(measured["by_document"][name] - value) for name, value in by_document.items())
    return {
        "stated": stated["total"],
        "measured": measured["total"],
        "largest_difference_of_a_document": worst,
        "same": math.isclose(stated["total"], measured["total"], abs_tol=_TOLERANCE) and worst <= 10 * _TOLERANCE,
        "five_gram": stated["five_gram"],
    }
