"""Labels' scores, measured again and held against those that are stated.

Two labels may lie so near that another processor's sums turn them. So what is stated may differ by as much as turning
the nearest of them would give: of up to `_TURNED` examples, each with one label turned whose runner-up is within
`_NEAR` nats. Where none is so near the scores are the same, to their last digit; the guesses' always are.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.documents import Labelled, read_documents
from train.evaluate.guesses import guess_all
from train.evaluate.label_scores import Labels, score_labels
from train.evaluate.labels import Judged, Said
from train.model import Purpose
from train.records import BadInput, Document, printable
from train.tokens import read_labelled

_NEAR = 0.01  # nats, as in the audit of answers
_TURNED = 3
_LAST = 1.5e-4  # scores have four digits
_OWN = "the model"

Marks = Mapping[str, Mapping[str, float]]
"""{metric: {"value", "low", "high"}}."""


def read_examples_of(purpose: Purpose, documents: Sequence[Document]) -> list[tuple[Document, Labelled]]:
    """The documents with what their texts say. Raises BadInput where there is none, or one is of another purpose."""
    found = read_labelled(documents)
    if not found or any(example.purpose != purpose.value for _, example in found):
        raise BadInput(f"its documents are not examples to {purpose.value}")
    return found


def labels_again(
    folder: Path, purpose: Purpose, stated: Any, judged: Sequence[Judged], said: Sequence[Said]
) -> tuple[dict[str, float], list[str]]:
    """The metrics measured, and a line for each score that is not as stated.

    Texts of the training that were withdrawn cannot be counted again: then the guesses are not looked at. Raises
    BadInput if what is stated cannot be read.
    """
    own, beside = _told(stated, purpose, len(judged))
    train = list(read_documents(folder / "data", "train"))
    guessed: dict[str, Labels] = {}
    if not any(document.is_withdrawn() for document in train):
        examples = [example for _, example in read_examples_of(purpose, train)]
        guessed = {**guess_all(purpose, examples, [one.example for one in judged])}
    turned = {f"turned {number}": labels for number, labels in enumerate(_turned(said))}
    scores = score_labels(purpose, {_OWN: [one.labels for one in said], **guessed, **turned}, judged)
    others = [scores[name] for name in turned]
    if guessed and set(beside) != set(guessed):
        raise BadInput(f"the guesses beside its labels are not {', '.join(guessed)}")
    apart = list(_apart(_OWN, own, scores[_OWN], others))
    for name in guessed:
        apart += _apart(name, beside[name], scores[name], [])
    return {metric: mark["value"] for metric, mark in scores[_OWN].items()}, apart


def _turned(said: Sequence[Said]) -> Iterator[list[tuple[str, ...]]]:
    """The same labels but of one example, those that it was nearest to: one list for each of the nearest."""
    near = sorted((one.behind, number) for number, one in enumerate(said) if one.behind <= _NEAR)
    for _, place in near[:_TURNED]:
        yield [one.almost if number == place else one.labels for number, one in enumerate(said)]


def _told(stated: Any, purpose: Purpose, asked: int) -> tuple[Marks, dict[str, Marks]]:
    """What is stated of the model, and of each guess."""
    try:
        of = stated["name"], stated["asked"]
        told = _marks(stated["scores"]), {who: _marks(one) for who, one in stated["baselines"].items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        why = printable(f"{type(error).__name__} {error}")[:80]
        raise BadInput(f"what is stated of its labels cannot be read ({why})") from error
    if of != (purpose.value, asked):
        raise BadInput("scores of other labels are stated than those of the held-out examples")
    return told


def _marks(stated: Any) -> Marks:
    return {name: _mark(mark) for name, mark in stated.items()}


def _mark(mark: Any) -> dict[str, float]:
    """Its ends as numbers; a release of before they had error bars states the value alone."""
    if not isinstance(mark, dict):
        return {"value": float(mark)}
    return {key: float(mark[key]) for key in ("value", "low", "high")}


def _apart(who: str, stated: Marks, found: Marks, turned: Sequence[Marks]) -> Iterator[str]:
    """A line for each metric that is not as stated. `turned`: what it would be with one label turned."""
    for name in sorted({*stated, *found}):
        if name not in stated or name not in found:
            yield f"{printable(name)} of {who} is stated or was measured, not both"
            continue
        for key, value in stated[name].items():
            reach = _LAST + sum(abs(other[name][key] - found[name][key]) for other in turned)
            if not abs(value - found[name][key]) <= reach:
                of = name if key == "value" else f"the {key} end of {name}"
                yield f"{of} of {who}: {value:.4f} is stated, {found[name][key]:.4f} was measured"
