"""What is found of a model by a task."""

from dataclasses import asdict, dataclass
from typing import Any


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

    `set`: the digest of the questions that were asked; scores over other questions are not to be compared.
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
    scores: dict[str, Score]

    def record(self) -> dict[str, Any]:
        """As JSON, without the task's name."""
        return {key: value for key, value in asdict(self).items() if key != "task"} | {"authors": list(self.authors)}
