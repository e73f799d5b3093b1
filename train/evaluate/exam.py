"""A task's held-out questions, and how well each of those who were asked has answered: models, and baselines."""

import hashlib
import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

import numpy as np

from train.evaluate.baselines import TASKS, Example, answer_without_a_model, score
from train.records import write_atomically
from train.tokens import ExampleStore

ANSWERS = PurePosixPath("evaluation/answers.jsonl")  # in a release
ASKED = 100  # held-out questions of a task, where evaluate.limit says nothing
LONGEST = 512  # tokens of an answer
READ = 0.5  # of an answer's tokens: from there on it counts as one that was read before


def task_of(named: str, data: str) -> str:
    """What a tuning's answers are scored by: the task that the config names, or that its data are of; or nothing."""
    return named or next((task for task in TASKS if data == f"task_{task}"), "")


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Named = TypeVar("Named", bound=_Named)


def drawn(held_out: Iterable[Named], limit: int) -> list[Named]:
    """The `limit` examples that are asked (0: `ASKED`): by the digest of their ids, for a file may begin with its
    shortest."""
    return heapq.nsmallest(limit or ASKED, held_out, key=lambda one: hashlib.sha256(one.id.encode()).digest())


def longest_answer(store: ExampleStore) -> int:
    """How many tokens an answer to a task may have: as many as nine in ten of the examples need, and not too many."""
    lengths = [int(store.part(number)[1].sum()) for number in range(len(store))]
    return min(LONGEST, int(np.quantile(lengths, 0.9, method="higher")))


def mark_exam(
    task: str, train: Sequence[Example], held_out: Sequence[Example], said: Mapping[str, Sequence[str]],
    told: Sequence[float] | None,
) -> dict[str, Any]:  # fmt: skip
    """{"name", "asked", "scores": {who: {metric: {"value", "low", "high"}}}}, of those in `said` and of the baselines.

    `told`: of each answer, the share of its tokens that a model may have read before, or None if nobody knows. Where
    some were read and some were not, the scores on those that were not stand in "unread" as well: the "clean" examples
    of Brown et al., "Language Models are Few-Shot Learners", 2020, appendix C.
    """
    answers = dict(said) | answer_without_a_model(task, train, [question for question, _ in held_out])
    found = _scores(task, held_out, answers, range(len(held_out)))
    if told is None:
        return {"name": task, **found}
    unread = [number for number, share in enumerate(told) if share < READ]
    apart = {"unread": _scores(task, held_out, answers, unread)} if 0 < len(unread) < len(told) else {}
    return {"name": task, **found, "read": len(told) - len(unread), **apart}


def _scores(
    task: str, held_out: Sequence[Example], answers: Mapping[str, Sequence[str]], numbers: Sequence[int]
) -> dict[str, Any]:
    """On the questions of these numbers."""
    wanted = [held_out[number][1] for number in numbers]
    found = {}
    for who, said in answers.items():
        marks = score(task, [said[number] for number in numbers], wanted)
        found[who] = {name: mark.record() for name, mark in marks.items()}
    return {"asked": len(numbers), "scores": found}


def write_answers(
    path: Path, ids: Sequence[str], said: Mapping[str, Sequence[str]], tokens: Sequence[Sequence[int]]
) -> None:
    """A line for each question: the id of its example, what each has answered, and the tokens of the first's answer."""
    with write_atomically(path) as file:
        for id, answer, *texts in zip(ids, tokens, *said.values(), strict=True):
            row = {"id": id, **dict(zip(said, texts, strict=True)), "tokens": list(answer)}
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
