"""What a model has to beat on each task: an answer that takes no model at all."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from train.evaluate.metrics import Metric, Scored, bleu, chrf, exact_match, rouge_1, rouge_2, rouge_l, word_f1, words
from train.records import BadInput

Example = tuple[str, str]
"""A question and its answer."""


class Nearest:
    """Answers with what was answered to the question most alike: by the words they share, weighed by how rare they are.

    The measure is the cosine of tf-idf vectors (Salton and Buckley, 1988), from an inverted index; a word that all
    questions have weighs nothing.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        self._answers: list[str] = []
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        counts: list[Counter[str]] = []
        for question, answer in examples:
            counts.append(Counter(words(question)))
            self._answers.append(answer)
        seen = Counter(word for count in counts for word in count)
        self._rarity = {word: math.log(len(counts) / number) for word, number in seen.items()}
        for number, count in enumerate(counts):
            for word, weight in self._vector(count).items():
                self._postings[word].append((number, weight))

    def __call__(self, question: str) -> str:
        """The answer; an empty one where no word was seen before. Of two as similar it is the earlier one's."""
        found: dict[int, float] = defaultdict(float)
        for word, weight in self._vector(Counter(words(question))).items():
            for number, other in self._postings.get(word, ()):
                found[number] += weight * other
        best = min(found, key=lambda number: (-round(found[number], 12), number), default=None)
        return "" if best is None else self._answers[best]

    def _vector(self, count: Counter[str]) -> dict[str, float]:
        weights = {word: number * self._rarity.get(word, 0.0) for word, number in count.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {word: weight / length for word, weight in weights.items() if weight}


def lead(question: str, characters: int = 300) -> str:
    """The first sentences of what is to be summarised, up to so many characters."""
    body = question.partition("\n\n")[2]
    said = ""
    for line in body.splitlines():
        if not line.endswith((".", ":", ";", "!", "?")):
            continue  # a heading
        longer = f"{said} {line}".strip()
        if said and len(longer) > characters:
            break
        said = longer[:characters]
    return said


def copy(question: str) -> str:
    """What is to be translated, as it stands."""
    return question.partition(": ")[2]


@dataclass(frozen=True)
class Task:
    """What its answers are measured with, and what answers without a model once it has seen the training examples."""

    metrics: dict[str, Metric]
    baselines: dict[str, Callable[[Sequence[Example]], Callable[[str], str]]]


TASKS = {
    "questions": Task({"rouge_l": rouge_l, "word_f1": word_f1}, {"nearest question": Nearest}),
    "summaries": Task({"rouge_1": rouge_1, "rouge_2": rouge_2, "rouge_l": rouge_l}, {"lead": lambda _: lead}),
    "translation": Task(
        {"bleu": bleu, "chrf": chrf, "exact_match": exact_match}, {"copy": lambda _: copy, "nearest pair": Nearest}
    ),
    "code": Task({"bleu": bleu, "chrf": chrf, "exact_match": exact_match}, {"nearest description": Nearest}),
    "dialogue": Task({"chrf": chrf, "word_f1": word_f1}, {"nearest turn": Nearest}),
}


def score(task: str, said: Sequence[str], wanted: Sequence[str]) -> dict[str, Scored]:
    """Each of a task's metrics. Raises BadInput for a task that is not known or answers that are not as many."""
    if task not in TASKS:
        raise BadInput(f"task {task!r}: known are {', '.join(TASKS)}")
    if len(said) != len(wanted):
        raise BadInput(f"task {task}: {len(said)} answers to {len(wanted)} questions")
    return {name: metric(said, wanted) for name, metric in TASKS[task].metrics.items()}


def answer_without_a_model(task: str, train: Sequence[Example], questions: Sequence[str]) -> dict[str, list[str]]:
    """What each of a task's baselines answers: {"copy": ["Go.", ...], ...}."""
    answers = {name: baseline(train) for name, baseline in TASKS[task].baselines.items()}
    return {name: [answer(question) for question in questions] for name, answer in answers.items()}
