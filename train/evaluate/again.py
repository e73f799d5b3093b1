"""Measure a release again, from what is in its folder alone, and compare with what it states."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import ObjectiveConfig, ObjectiveName, build_objective
from train.documents import read_documents
from train.evaluate.answers import evaluate_answers, read_answers
from train.evaluate.bias import expected_groups
from train.evaluate.bits_per_byte import EvaluateConfig, Text, evaluate_texts
from train.evaluate.labels import evaluate_labels, judge_all
from train.evaluate.labels_again import labels_again, read_examples_of
from train.hugging_face import from_hugging_face
from train.model import Labeller, LanguageModel
from train.records import BadInput, Document, Json, printable, read_json
from train.tokens import Marker, encode_document, load_chat, load_tokenizer, load_vocabulary

_TOLERANCE = 1e-4  # bits per byte: float32 sums in another order, on another processor
_TABLES = ("by_document", "by_author", "by_language", "by_source")
_PREFERS = "prefers_the_better"


@dataclass(frozen=True)
class _Stated:
    """What a release says of itself, as far as it is measured again."""

    results: Json
    bits: Json
    total: float
    five_gram: float
    bias: dict[str, Any] | None
    config: EvaluateConfig
    objective: ObjectiveConfig

    @property
    def of(self) -> Any:
        """What the bits are of: "labels", "answers", or nothing else than the texts."""
        return self.bits["measure"].get("of")


@dataclass(frozen=True)
class _Found:
    """Bits per byte, as published; the other scores that were measured, and a line for each that is not as stated."""

    report: Mapping[str, Any]
    scores: dict[str, float] = field(default_factory=dict)
    apart: list[str] = field(default_factory=list)


def measure_again(folder: Path) -> dict[str, Any]:
    """{"stated", "measured", "same", "apart", "scores", ...}: bits per byte, a line for each score that is not as
    stated, and what else was measured by its name. Raises BadInput if the folder lacks what it takes."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder")
    stated, model = _read(folder), from_hugging_face(folder)
    labels = stated.of == "labels"
    if labels != isinstance(model, Labeller) or not (labels or stated.objective.name.value == model.OBJECTIVE):
        raise BadInput(f"{folder}: a {model.config.name} is not measured by {stated.objective.name.value}")
    if labels != ("labels" in stated.results):
        raise BadInput(f"{folder}: its evaluation has bits of labels or scores of labels, not both")
    documents = list(read_documents(folder / "data", "validation"))
    if not documents:
        raise BadInput(f"{folder}: no document was held out")
    found = _measure(folder, stated, model, documents)
    report = found.report
    worst = {
        kind: _difference(folder, kind, stated.bits[kind], report[kind]) for kind in _TABLES if kind in stated.bits
    }
    apart = [*_bits_apart(stated.total, report["total"], worst), *found.apart]
    apart += [*_preference_apart(stated.bits, report, len(documents)), *_groups_apart(folder, stated, model)]
    return {
        "stated": stated.total,
        "measured": report["total"],
        "largest_difference_of_a_document": worst["by_document"],
        "same": not apart,
        "apart": apart,
        "scores": found.scores,
        "five_gram": stated.five_gram,
    }


def _read(folder: Path) -> _Stated:
    try:
        results = read_json(folder / "evaluation" / "results.json")
        bits = results["bits_per_byte"]
        total, five_gram, _ = float(bits["total"]), float(bits["five_gram"]), bits["by_document"]
        config = EvaluateConfig(stride=int(bits["measure"]["stride"]) if bits["measure"]["left_to_right"] else 0)
        objective = ObjectiveConfig(**(results["objective"] | {"name": ObjectiveName(results["objective"]["name"])}))
        return _Stated(results, bits, total, five_gram, _stated_bias(results), config, objective)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise BadInput(f"{folder}/evaluation/results.json: lacks what it takes to measure again ({error})") from error


def _measure(folder: Path, stated: _Stated, model: LanguageModel, documents: Sequence[Document]) -> _Found:
    """Of an encoder that labels, a model that answers, or one that reads texts, each by what it is made for."""
    tokenizer, vocabulary = load_tokenizer(folder), load_vocabulary(folder)
    if isinstance(model, Labeller):
        marker = Marker(tokenizer, vocabulary, model.labels)
        judged = judge_all(read_examples_of(model.purpose, documents), marker)
        report, said = evaluate_labels(model, judged)
        return _Found(report, *labels_again(folder, model.purpose, stated.results["labels"], judged, said))
    if stated.of == "answers":
        chat = load_chat(folder)
        if chat is None:
            raise BadInput(f"{folder}: answers were measured, and its tokenizer has no chat template")
        report = evaluate_answers(model, read_answers(documents, chat)).report
        scores = {_PREFERS: report[_PREFERS]} if _PREFERS in report else {}
        return _Found(report, scores)
    texts = []
    for document in documents:
        parts = [[vocabulary.opens], *encode_document(tokenizer, document.text)]
        texts.append(Text.of(document, np.concatenate([np.asarray(part, np.int64) for part in parts])))
    return _Found(evaluate_texts(model, build_objective(stated.objective, vocabulary), texts, stated.config).report)


def _bits_apart(stated: float, measured: float, worst: Mapping[str, float]) -> Iterator[str]:
    if not math.isclose(stated, measured, abs_tol=_TOLERANCE):
        yield f"{stated:.4f} bits per byte are stated, {measured:.4f} were measured"
    for kind, gap in worst.items():
        if gap > 10 * _TOLERANCE:
            yield f"bits per byte {kind} are stated that are {gap:.4f} from those that were measured"


def _preference_apart(stated: Json, measured: Json, pairs: int) -> Iterator[str]:
    """How often the better answer is preferred. One pair may be so near that another processor's sums turn it."""
    told, found = stated.get(_PREFERS), measured.get(_PREFERS)
    if told is None and found is None:
        return
    share = told if isinstance(told, int | float) and 0 <= told <= 1 else math.inf
    if found is None or abs(share - found) * pairs >= 1.5:
        yield f"{_PREFERS}: {printable(str(told))[:20]} is stated, {found} was measured"


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


def _groups_apart(folder: Path, stated: _Stated, model: LanguageModel) -> Iterator[str]:
    """The preference for a group. A set of pairs that is not ours any more cannot be asked again; and one pair may be
    so near that another processor's sums turn it."""
    if (bias := stated.bias) is None:
        return
    languages, tokenizer, vocabulary = bias["languages"], load_tokenizer(folder), load_vocabulary(folder)
    asked = not isinstance(model, Labeller)
    found = expected_groups(model, tokenizer, vocabulary, languages, stated.config.batch_size) if asked else None
    if found is None:
        yield "a preference for a group is stated, and it cannot be asked for one"
    elif bias["set"] == found["set"] and not abs(bias["share"] - found["share"]) * found["pairs"] < 1.5:
        yield f"the likelier group: a share of {bias['share']:.4f} is stated, {found['share']:.4f} was measured"
