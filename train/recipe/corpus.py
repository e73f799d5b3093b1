"""What a corpus is made from, and where its parts lie when an array of jobs has prepared it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import train.documents
from train.config import Config, public, resolved
from train.documents import DataConfig, Kind, Share, prepare_part, shared_out
from train.records import BadInput, digest_file, digest_json
from train.run import progress, say

_JUDGES = Path(train.documents.__file__).parent


def files_of(data: DataConfig) -> dict[str, Any]:
    """The files of a folder are part of what the corpus is made from; a package or a revision is pinned."""
    return {
        source_name: {
            name: digest_file(path)
            for path in Path(source.path).rglob("*")
            if path.is_file() and (name := path.relative_to(source.path).as_posix()).isprintable()
        }
        for source_name, source in data.sources.items()
        if source.kind is Kind.files and Path(source.path).is_dir()
    }


def parts_folder(config: Config) -> Path:
    """Of one corpus: other sources, rules or files have a folder of their own, and so has another judging program."""
    made_from = {
        "data": public(resolved(config, recipe_only=True))["data"],
        "files": files_of(config.data),
        "folders": {
            name: _look_of(Path(source.path))
            for name, source in config.data.sources.items()
            if source.path and source.kind is not Kind.files
        },
        "program": {str(path.relative_to(_JUDGES)): digest_file(path) for path in sorted(_JUDGES.rglob("*.py"))},
        "libraries": {name: version(name) for name in ("py3langid", "rensa")},
    }
    return _parts(config) / digest_json(made_from)[:16]


def prepared_parts(config: Config) -> Path | None:
    """The parts of this corpus, if an array of jobs has made some."""
    if not _parts(config).is_dir():
        return None
    folder = parts_folder(config)
    if not (shares := shared_out(folder)):
        return None
    say(f"documents  judged before, in {shares} parts in {folder}")
    return folder


def _parts(config: Config) -> Path:
    return Path(config.data.cache) / "parts"


def _look_of(folder: Path) -> dict[str, list[int]]:
    """The files of a folder on this disk by size and time: a dataset may be too large to be read for its digest."""
    found = {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: [about.st_size, about.st_mtime_ns] for name, about in sorted(found.items())}


def prepare(config: Config, part: int, shares: int) -> Path:
    """Judge one of `shares` shares of the documents, counted from 0, unless it was done before. Returns its file."""
    if config.tune.on:
        raise BadInput("a tuning's examples are few, and what is one depends on its base: its run judges them itself")
    share, folder = Share(part, shares), parts_folder(config)
    file = share.file(folder)
    if file.is_file():
        say(f"part       {file}: done before")
        return file
    with progress("documents", 0, "B") as bar:
        prepare_part(config.data, share, folder, bar.update)
    say(f"part       {file}")
    return file
