"""BIG-bench's multiple-choice tasks, offline: task files out of its source archive, pinned by its sha256.

Srivastava et al., "Beyond the Imitation Game", 2022. A question is put as its own program puts it without examples
before it: the task's prefix, the question, the choices if it wants them shown (in its own order, which a seed makes),
and the answer with the largest log p is taken, however long it is. The score is that program's `multiple_choice_grade`;
`chance` is its score of an answer drawn blindly.

Its texts ask not to be trained on ("canary"): they are kept in the cache alone, never in a corpus or a release.
"""

import json
import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.documents import fetch_members
from train.evaluate.reader import Reader
from train.evaluate.results import LookUp, Score, TaskResult
from train.records import BadInput, digest_json, printable, read_json

PREFIX = "bigbench:"
PACKAGE, VERSION = "bigbench", "1.0.0"
SHA256 = "1bb398a5512c6d798cdebe0dfa0ac03f67f6033fa6b39c6ef71df978c7cbc5c2"
_FOLDER = f"{PACKAGE}-{VERSION}/bigbench/benchmark_tasks"
_ORDER = 42  # the seed of its program


def fetch_tasks(tasks: Sequence[str], cache: Path) -> dict[str, Path]:
    """The task files, by the tasks' names (bigbench:NAME, or bigbench:NAME/PART), from the cache or the registry."""
    for task in tasks:
        if not re.fullmatch(rf"{PREFIX}[\w-]+(/[\w-]+)?", task):
            raise BadInput(f"{printable(task)}: BIG-bench's tasks are asked for as {PREFIX}NAME or {PREFIX}NAME/PART")
    members = {task: f"{_FOLDER}/{task.removeprefix(PREFIX)}/task.json" for task in tasks}
    files = fetch_members(PACKAGE, VERSION, SHA256, list(members.values()), cache)
    return {task: files[member] for task, member in members.items()}


def ask(reader: Reader, task: str, file: Path, limit: int, look_up: LookUp) -> TaskResult:
    """One task, its first `limit` questions, 0 for all. Raises BadInput if it is not one of multiple choice."""
    try:
        content = read_json(file)
        questions = _questions(content)
        asked = questions[:limit] if limit else questions
        put = [(_prompt(content, question), list(question["target_scores"])) for question in asked]
        marks = [[float(mark) for mark in question["target_scores"].values()] for question in asked]
        authors = tuple(map(str, content.get("contributors", []))) or ("the contributors of BIG-bench",)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{task}: not a task that can be read ({type(error).__name__} {error})") from error
    pairs = [(prompt, choice) for prompt, choices in put for choice in choices]
    found = iter(reader.judge(pairs))
    grades = []
    for row in marks:
        likely = [next(found)[0] for _ in row]
        grades.append(row[likely.index(max(likely))])
    chance = statistics.fmean(statistics.fmean(row) for row in marks)
    stderr = statistics.stdev(grades) / math.sqrt(len(grades)) if len(grades) > 1 else None
    return TaskResult(
        task=task,
        program=f"{PACKAGE} {VERSION}, asked here",
        version=VERSION,
        set=digest_json(asked),
        questions=len(asked),
        of=len(questions),
        limit=limit,
        shots=0,
        authors=authors,
        overlap=look_up(prompt + choice for prompt, choice in pairs),
        scores={"multiple_choice_grade": Score(statistics.fmean(grades), stderr, chance, True)},
    )


def _questions(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Each once. Raises BadInput where there is none, or where an answer is to be written."""
    if not content.get("examples"):
        raise BadInput(f"{printable(str(content['name']))}: is made of parts; ask for one of them ({PREFIX}NAME/PART)")
    once = {json.dumps(example): example for example in content["examples"]}
    questions = list(once.values())
    if "multiple_choice_grade" not in content["metrics"] or not all(q.get("target_scores") for q in questions):
        raise BadInput(f"{printable(str(content['name']))}: not one of multiple choice, which alone are asked here")
    return questions


def _prompt(content: dict[str, Any], question: dict[str, Any]) -> str:
    text = str(question["input"])
    if content.get("append_choices_to_input", True):
        before = str(content.get("choice_prefix", "\n  choice: "))
        shown = np.random.RandomState(_ORDER).permutation(sorted(question["target_scores"]))
        text += before + before.join(map(str, shown))
    first, last = content.get("example_input_prefix", "\nQ: "), content.get("example_output_prefix", "\nA: ")
    return f"{content.get('task_prefix', '')}{first}{text}{last}"
