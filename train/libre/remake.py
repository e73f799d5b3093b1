"""A new release from an old one: its documents without some, its recipe with other choices, its lineage told."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from train.config import Config, read_config
from train.documents import DataConfig, Kind, SourceConfig, withdrawn
from train.libre.audit import Status, Subject, ask
from train.records import BadInput, printable
from train.run import LoggerConfig, say

_LISTS = {"author": "authors", "title": "titles", "id": "ids", "source": "sources"}


def remake(release: Path, out: Path, without: Sequence[str], words: Sequence[str], why: str) -> Config:
    """The config of a run in `out` that remakes `release` otherwise; `run_recipe` does it, offline.

    `without`: author=NAME, title=..., id=... or source=...; `words`: group.key=value. Raises BadInput for what is
    neither, and if nothing would change.
    """
    theirs_is, ours_is = release.resolve(), out.resolve()
    if ours_is.is_relative_to(theirs_is) or theirs_is == ours_is / "release":
        raise BadInput(f"--out {printable(str(out))}: the release lies there, and would be written over; name another")
    with TemporaryDirectory() as work:
        subject = Subject(release, Path(work))
        record = subject.record
        sealed = ask("SEAL-01", subject)
    if sealed.status is not Status.verified:
        raise BadInput(f"{printable(str(release))}: not as it was sealed: {sealed.found}")
    config = read_config(release / "recipe" / "config.yaml", words)
    gone = withdrawn(release)
    if not without and not words and not gone:
        raise BadInput("nothing would change: say --without author=..., or group.key=value")
    for wish in without:
        kind, equals, name = wish.partition("=")
        if kind not in _LISTS or not equals or not name:
            raise BadInput(f"--without {printable(wish)}: say author=NAME, title=..., id=... or source=...")
        getattr(config.data.exclude, _LISTS[kind]).append(name)
    sources = config.data.sources.values()
    theirs = SourceConfig(
        kind=Kind.release,
        path=str(release.resolve()),
        rights_reserved="; ".join(dict.fromkeys(s.rights_reserved for s in sources if s.rights_reserved)),
        generator="; ".join(dict.fromkeys(s.generator for s in sources if s.generator)),
    )
    config = _on_no_word_of_theirs(config, words)
    changes = [*(f"without {wish}" for wish in without), *words]
    changes += [f"without {len(gone)} texts that were withdrawn"] if gone else []
    made_from = {
        "release": str(record["name"]),
        "digest": str(record["digest"]),
        "changes": "; ".join(changes),
        "why": why,
    }
    return replace(
        config,
        data=replace(config.data, sources={"release": theirs}, cache=DataConfig.cache),
        run=replace(config.run, folder=str(out.resolve().parent), name=out.name),
        logger=LoggerConfig(),
        release=replace(config.release, made_from=made_from),
    )


def _on_no_word_of_theirs(config: Config, words: Sequence[str]) -> Config:
    """Nothing is signed, and no task asked, unless the user's own words say so: a task may bring a program of its own,
    and needs a network."""
    said = {word.partition("=")[0] for word in words}
    sign = config.release.sign if "release.sign" in said else ""
    tasks = config.evaluate.tasks if "evaluate.tasks" in said else []
    if left_out := [task for task in config.evaluate.tasks if task not in tasks]:
        say(f"tasks      not asked again, unless you say evaluate.tasks=[...]: {printable(', '.join(left_out))[:200]}")
    return replace(config, release=replace(config.release, sign=sign), evaluate=replace(config.evaluate, tasks=tasks))
