"""Remake a release from what is in its folder, and compare: R1 its inputs, R2 parts of the training, R3 the whole.

The training is done again in the arithmetic that release.json names, with its number of threads: on the same class of
machine it gives the same bits. What is found is said in a statement under attest/rebuilds/, which the audit reads.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from train.batches import build_objective
from train.evaluate import evaluate_texts, is_within, read_texts
from train.libre.audit import Base, Status, Subject, look_at_inputs, remember
from train.model import build_model
from train.numerics import Choices, Rounding, check_float8, describe_machine, has_compiler
from train.records import BadInput, digest_json, printable, write_json
from train.release import code_digest, read_source, unlike_schema
from train.run import (
    CHECKPOINT_FILES,
    Job,
    LoggerConfig,
    Metrics,
    list_checkpoints,
    load_weights,
    published_steps,
    read_metrics,
    train,
)
from train.standards import read_key, rebuild_record, sign
from train.tokens import load_vocabulary

LEVELS = ("R1", "R2", "R3")
_NEVER = 10**9
_ROUNDINGS = "training/roundings.jsonl"


@dataclass(frozen=True)
class Rebuild:
    """What came out. `parted_at`: the first step of the chain with other weights, -1 if none; `why`: where inputs part.

    `score`: the bits per byte of a whole rebuild that is not identical; within the release's bounds its level is R≈.
    """

    level: str
    identical: bool
    parted_at: int
    segments: tuple[tuple[int, int], ...]
    why: str
    statement: str
    score: float = 0.0

    def render(self) -> str:
        """As a person reads it."""
        if self.why:
            return f"{self.level}: no. {self.why}"
        if self.level == "R≈":
            return (
                f"R≈: not identical from step {self.parted_at} on; {self.score:.4f} bits per byte, within the bounds."
            )
        if not self.identical:
            return (
                f"{self.level}: no. Other weights at step {self.parted_at}; the same at the step of the chain before."
            )
        parts = "".join(f"\n  steps {first} to {last}: identical" for first, last in self.segments)
        return f"{self.level}: identical.{parts}\nSaid in {self.statement}"


def rebuild(
    folder: Path,
    level: str = "R1",
    segments: int = 3,
    builder: str = "not named",
    key: str = "",
    note: Callable[[str], object] = print,
    base: Path | None = None,
) -> Rebuild:
    """Remake `folder` and write a statement into it, signed with the private key in the file `key` if one is named.

    `base`: the folder of the model whose weights it began from, if it did.

    Raises BadInput if it is no release, or another program's.
    """
    if key:
        read_key(key)
    _check_room(folder)
    with tempfile.TemporaryDirectory() as name:
        bases = [] if base is None else [Base(base, "", "", (), frozenset())]
        subject = Subject(folder, Path(name) / "made", bases)
        stated = _ingredients(subject)
        if stated["code"]["digest"] != code_digest():
            raise BadInput(
                f"{printable(str(folder))}: made by another version of this program (commit "
                f"{printable(str(stated['code']['commit']))[:12]}). Install that version; or, if you trust "
                "whoever published the release, --trust-code runs the program that is in it"
            )
        found = Rebuild(level, True, -1, (), "", "")
        for id, (status, said) in look_at_inputs(subject).items():
            note(f"{id}: {said}")
            if status is not Status.verified:
                return replace(found, identical=False, why=f"{id}: {said}")
        if level != "R1":
            mesh = subject.record["numerics"].get("mesh", {})
            if subject.record["numerics"].get("precision") != "float64" and any(size != 1 for size in mesh.values()):
                note(
                    f"made by several processes ({mesh}), whose sums one process makes in another order: other weights"
                )
            found = _follow(subject, found, Path(name), segments)
        statement = rebuild_record(subject.record, _facts(found), builder, describe_machine())
        path = folder / "attest" / "rebuilds" / f"{level}-{digest_json(statement)[:12]}.json"
        try:
            write_json(path, sign(statement, read_key(key)) if key else statement)
        except OSError as error:  # the answer of hours is not lost for that
            return replace(found, statement=f"no file: {error}")
        try:
            remember(statement, folder)
        except OSError as error:
            note(f"not remembered here, so that an audit takes it for somebody else's: {error}")
        return replace(found, statement=str(path))


def _check_room(folder: Path) -> None:
    """Raises BadInput if the statement could not be written."""
    there = next((path for path in (folder / "attest" / "rebuilds", folder / "attest") if path.exists()), folder)
    if there.exists() and not os.access(there, os.W_OK):
        raise BadInput(
            f"{printable(str(there))}: cannot be written, and what comes out is said there; take a copy of the folder"
        )


def _ingredients(subject: Subject) -> dict[str, Any]:
    if subject.irregular:
        raise BadInput(f"the folder holds links or devices: {', '.join(map(printable, subject.irregular[:3]))}")
    if wrong := unlike_schema(subject.record):
        raise BadInput(f"release.json is unlike its schema: {printable(wrong)}")
    stated: dict[str, Any] = subject.record["ingredients"]
    return stated


def _facts(found: Rebuild) -> dict[str, Any]:
    return {
        "level": found.level,
        "identical": found.identical,
        "parted_at": found.parted_at,
        "segments": [list(segment) for segment in found.segments],
        "score": found.score,
    }


def _follow(subject: Subject, found: Rebuild, work: Path, segments: int) -> Rebuild:
    """The trainings; what a release states and cannot be followed is its publisher's to mend."""
    if subject.record["numerics"]["device"] == "cuda" and not torch.cuda.is_available():
        raise BadInput("its training was made on a GPU, and there is none here")
    try:
        return _trainings(subject, found, work, segments)
    except BadInput:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"what the release states cannot be followed: {type(error).__name__} {error}") from error


def _trainings(subject: Subject, found: Rebuild, work: Path, count: int) -> Rebuild:
    links = list(subject.rows("training/chain.jsonl"))
    steps = [int(link["step"]) for link in links]
    between = list(pairwise(sorted(published_steps(subject.recipe.optim.steps, subject.recipe.run.publish))))
    if found.level == "R3":
        wanted = [(0, steps[-1])]
    else:
        wanted = sorted(random.SystemRandom().sample(between, max(1, min(count, len(between)))))
    for number, (first, last) in enumerate(wanted):
        run = work / f"segment-{number}"
        _prepare(subject, run, first)
        train(_job(subject, run, last))
        made = {int(row["step"]): row["weights"] for row in read_metrics(run / "chain.jsonl")}
        parted = [
            int(link["step"])
            for link in links
            if first <= link["step"] <= last and made.get(link["step"]) != link["weights"]
        ]
        if parted:
            found = replace(found, identical=False, parted_at=parted[0], segments=tuple(wanted[:number]))
            return _judge(subject, found, run) if found.level == "R3" else found
        shutil.rmtree(run)
    return replace(found, segments=tuple(wanted))


def _judge(subject: Subject, found: Rebuild, run: Path) -> Rebuild:
    """A whole rebuild that is not identical, by the bounds that the release published beforehand, if it did."""
    results = subject.record["results"]
    if "seeds" not in results:
        return found
    model = build_model(subject.recipe.model)
    load_weights(model, list_checkpoints(run / "checkpoints")[-1])
    objective = build_objective(subject.recipe.objective, load_vocabulary(subject.folder))
    texts = read_texts(subject.store("validation"), subject.documents("validation"))
    score = float(evaluate_texts(model, objective, texts, subject.recipe.evaluate).report["total"])
    return replace(found, level="R≈" if is_within(score, results) else "R3", score=score)


def _prepare(subject: Subject, run: Path, first: int) -> None:
    """A run's folder that stands at a published checkpoint; at step 0 an empty one."""
    run.mkdir(parents=True)
    if first:
        name = f"step-{first:06d}"
        (run / "checkpoints" / name).mkdir(parents=True)
        for file in CHECKPOINT_FILES:
            shutil.copyfile(subject.path(f"training/checkpoints/{name}/{file}"), run / "checkpoints" / name / file)
        before = [row for row in subject.rows("training/chain.jsonl") if row["step"] <= first]
        (run / "chain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in before), "utf-8")


def _job(subject: Subject, run: Path, last: int) -> Job:
    recipe, numerics = subject.recipe, subject.record["numerics"]
    choices = Choices(**{key: value for key, value in numerics.items() if key not in {"name", "mesh"}})
    if choices.precision == "float8":
        check_float8()
    if choices.compile and not has_compiler():
        raise BadInput("its training was compiled, and there is no C++ compiler here, or no Python.h")
    lesson = subject.lesson(begun=recipe.tune.on)  # a training from a seed makes its initial weights itself
    return Job(
        folder=run,
        model=lesson.model,
        sequences=lesson.sequences,
        loss=lesson.loss,
        from_seed=not recipe.tune.on,
        run=replace(recipe.run, evaluate_every=_NEVER, checkpoint_every=_NEVER),
        optim=recipe.optim,
        parallel=recipe.parallel,
        choices=choices,
        config_digest=subject.recipe_digest,
        open_metrics=lambda step: Metrics(run, step, LoggerConfig(), "rebuild", {}),
        watch=lambda model, step: {},
        until=last,
        rounding=Rounding(subject.rows(_ROUNDINGS) if _ROUNDINGS in subject.files else ()),
    )


def is_made_by_this(folder: Path) -> bool:
    """Whether a release was made by this very program."""
    with tempfile.TemporaryDirectory() as work:
        digest: str = _ingredients(Subject(folder, Path(work)))["code"]["digest"]
        return digest == code_digest()


def run_their_program(folder: Path, words: list[str]) -> int:
    """Unpack the program that is in a release into a folder of its own, and have it do the rebuild; its exit code.

    This runs somebody else's code: only where the user has said so.
    """
    with tempfile.TemporaryDirectory() as work:
        for name, data in read_source(Subject(folder, Path(work)).path("recipe/source.tar")):
            file = Path(work, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-m", "train", "rebuild", str(folder.resolve()), *words], cwd=work, check=False
        )
        return done.returncode
