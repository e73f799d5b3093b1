"""What a corpus is made from, and where its parts lie when an array of jobs has prepared it."""

from pathlib import Path
from typing import Any

from train.config import Config, public, resolved
from train.documents import DataConfig, Kind, Share, prepare_part
from train.records import BadInput, digest_file, digest_json
from train.run import progress, say


def files_of(data: DataConfig) -> dict[str, Any]:
    """The files of a folder are part of what the corpus is made from; a package or a revision is pinned."""
    return {
        name: {
            path.relative_to(source.path).as_posix(): digest_file(path)
            for path in Path(source.path).rglob("*")
            if path.is_file() and path.name.isprintable()
        }
        for name, source in data.sources.items()
        if source.kind is Kind.files and Path(source.path).is_dir()
    }


def parts_folder(config: Config) -> Path:
    """Of one corpus: other sources, other rules, other files have a folder of their own."""
    made_from = {"data": public(resolved(config, recipe_only=True))["data"], "files": files_of(config.data)}
    return Path(config.data.cache) / "parts" / digest_json(made_from)[:16]


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
