"""Ask a release tasks after it was sealed: the scores become a statement under attest/evaluations/, which names it.

What a run itself was told to ask (`evaluate.tasks`) stands in the release; what comes later stands beside it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from train.config import read_config
from train.documents import documents_file, withdrawn
from train.evaluate import LookUp, Reader, TaskResult, prepare_tasks, run_tasks
from train.libre.audit import Subject
from train.libre.texts import index_of
from train.numerics import describe_machine
from train.records import BadInput, Json, digest_json, printable, write_json
from train.release import RECORD, beside_tasks, read_release
from train.scoring import NOT_BASE, OWN, TrainingText
from train.standards import evaluation_record, read_key, sign
from train.tokens import Tokenizer


@dataclass(frozen=True)
class Examined:
    """`statement`: where it was said; "" if the folder is no release, of which nothing can be said."""

    results: tuple[TaskResult, ...]
    statement: str

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"tasks": {one.task: one.record() for one in self.results}, "statement": self.statement}

    def render(self) -> str:
        """As a person reads it."""
        lines = [f"  {'task':44} {'score':24} {'value':>8} {'error':>8} {'chance':>8} {'overlap':>8}  questions"]
        for one in self.results:
            share = one.overlap["share"] if one.overlap else None
            for name, score in one.scores.items():
                numbers = " ".join(_number(value) for value in (score.value, score.stderr, score.chance, share))
                lines.append(
                    f"  {printable(one.task)[:44]:44} {printable(name)[:24]:24} {numbers}  {one.questions} of {one.of}"
                )
        said = f"Said in {printable(self.statement)}" if self.statement else "Not a release: said nowhere else."
        return "\n".join([*lines, "", beside_tasks([one.overlap for one in self.results]), "", said])


def _number(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:8.4f}"


def examine(
    folder: Path,
    tasks: Sequence[str],
    limit: int = 0,
    cache: Path = Path("cache"),
    by: str = "not named",
    key: str = "",
) -> Examined:
    """The scores of a release, or of any folder in Hugging Face's format, on these tasks; of each the first `limit`
    questions, 0 for all. Of a release they are written into attest/evaluations/, signed where a key is named.

    Raises BadInput at a task that is not known, before anything is asked.
    """
    if not folder.is_dir():
        raise BadInput(f"{printable(str(folder))}: there is no such folder")
    if links := Subject(folder, folder).irregular:
        raise BadInput(
            f"{folder}: holds links or devices, and is not written to: {', '.join(map(printable, links[:3]))}"
        )
    record = read_release(folder) if (folder / RECORD).is_file() else None
    signing = read_key(key) if key else None
    prepare_tasks(tasks, cache)
    reader = Reader.open(folder)
    look_up: LookUp = _not_known if record is None else _look_up(folder, cache, reader.tokenizer)
    found = run_tasks(reader, tasks, limit, cache, look_up)
    if record is None:
        return Examined(tuple(found), "")
    time = datetime.now(UTC).isoformat(timespec="seconds")
    statement: Json = evaluation_record(record, {one.task: one.record() for one in found}, by, describe_machine(), time)
    path = folder / "attest" / "evaluations" / f"{digest_json(statement)[:16]}.json"
    write_json(path, statement if signing is None else sign(statement, signing))
    return Examined(tuple(found), str(path))


def _look_up(release: Path, cache: Path, tokenizer: Tokenizer) -> LookUp:
    """In its own training text, by the index that `trace` keeps; nowhere if the release does not have that, or not
    whole. Raises BadInput if it is another than the release states."""
    if not documents_file(release / "data", "train").is_file() or withdrawn(release):
        return _not_known
    tuned = read_config(release / "recipe" / "config.yaml").tune.on
    _, index = index_of(release, cache)
    return TrainingText(tokenizer, index, of=NOT_BASE if tuned else OWN).overlap


def _not_known(texts: Iterable[str]) -> None:
    """There is no training text to look into."""


def tasks_of(folder: Path) -> dict[str, Any]:
    """Results of a release by task: its own, and what was found later; of a task asked several times the widest."""
    subject = Subject(folder, folder)
    try:
        found = dict(subject.record["results"].get("tasks", {}))
        for later in subject.evaluations():
            for name, result in later["tasks"].items():
                if name not in found or result["questions"] > found[name]["questions"]:
                    found[name] = result
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInput(f"{folder}/attest/evaluations: a statement that cannot be read ({error})") from error
    return found
