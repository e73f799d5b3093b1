"""Tasks by their names: BIG-bench's out of its archive (`bigbench:NAME`), all others by lm-eval, which is an extra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.evaluate import bigbench
from train.evaluate.reader import Reader
from train.evaluate.results import LookUp, TaskResult
from train.records import BadInput


def prepare_tasks(tasks: Sequence[str], cache: Path) -> list[Path]:
    """What is to be known before a model is there: each task is, and what it takes from the archive lies in the cache.

    Raises BadInput otherwise. (The data of lm-eval's tasks are fetched by lm-eval when they are asked.)
    """
    ours, theirs = _part(tasks)
    if theirs:
        _harness().find(theirs)
    return list(bigbench.fetch_tasks(ours, cache).values()) if ours else []


def run_tasks(reader: Reader, tasks: Sequence[str], limit: int, cache: Path, look_up: LookUp) -> list[TaskResult]:
    """The scores of a model on tasks, of each the first `limit` questions, 0 for all; `look_up`: in what it read."""
    ours, theirs = _part(tasks)
    files = bigbench.fetch_tasks(ours, cache) if ours else {}
    found = [bigbench.ask(reader, task, file, limit, look_up) for task, file in files.items()]
    return found + (_harness().ask(reader, theirs, limit, look_up) if theirs else [])


def _part(tasks: Sequence[str]) -> tuple[list[str], list[str]]:
    """BIG-bench's, and lm-eval's; each once."""
    once = list(dict.fromkeys(tasks))
    ours = [task for task in once if task.startswith(bigbench.PREFIX)]
    return ours, [task for task in once if task not in ours]


def _harness() -> Any:
    try:
        from train.evaluate import harness
    except ImportError as error:
        raise BadInput(
            f"tasks but bigbench:... need the package lm-eval ({error}): in Fusée's folder, pip install -e '.[eval]'"
        ) from error
    return harness
