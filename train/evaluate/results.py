"""What is found of a model by a task."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from train.records import Json

LookUp = Callable[[Iterable[str]], Json | None]
"""How much of these texts stands in what a model was trained on; None where nobody can know."""


@dataclass(frozen=True)
class Score:
    """A mean over questions and its standard error; what blind answers would give, and which way is better; None where
    that is not known."""

    value: float
    stderr: float | None
    chance: float | None
    higher_is_better: bool | None


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """`questions` were asked `of` all, the first `limit` (0: all), each after `shots` examples.

    `set`: the digest of the questions that were asked; scores over other questions are not to be compared. `overlap`:
    how much of the questions as they were put, answers with them, stands in the training text: a `LookUp`'s answer.
    """

    task: str
    program: str
    version: str
    set: str
    questions: int
    of: int
    limit: int
    shots: int
    authors: tuple[str, ...]
    overlap: Json | None
    scores: dict[str, Score]

    def record(self) -> dict[str, Any]:
        """As JSON, without the task's name."""
        return {key: value for key, value in asdict(self).items() if key != "task"} | {"authors": list(self.authors)}
