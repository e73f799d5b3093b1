"""A dataset of the Hugging Face Hub at a revision: its files, in the order in which a stream would read them.

They are brought into the cache one at a time, and read from there, by the run as well: what `fetch` has brought on a
login node is what a node without a network reads.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.tables import read_table, with_days
from train.records import BadInput, Json, printable, read_json, write_json


def hub_folder(source: SourceConfig, cache: Path) -> Path:
    """Where a dataset at this revision lies: its `files`, and for each split which of them it is made of."""
    return cache / "hub" / f"{source.path}@{source.revision}".replace("/", "--")


def read_hub_rows(source: SourceConfig, cache: Path) -> Iterator[Record]:
    """The rows of a split. A file is brought here when the rows before it have been read. Raises BadInput."""
    import datasets

    folder = hub_folder(source, cache)
    try:
        if Path(source.path).exists():  # a local folder in the same format
            yield from _read_local(source)
            return
        listed = _list_files(source, folder)
        for name in listed["files"]:
            yield from read_table(listed["kind"], _bring(source, folder, name))
    except (OSError, ValueError, datasets.exceptions.DatasetNotFoundError) as error:
        hint = "; without a network, run `python -m train fetch` where there is one"
        raise BadInput(f"{source.path}@{source.revision}: {printable(str(error))[:300]}{hint}") from error


def _read_local(source: SourceConfig) -> Iterator[Record]:
    import datasets

    kind, files = _files_of_split(source)
    if kind != "parquet":  # its README may say how the files are to be read
        yield from map(with_days, datasets.load_dataset(source.path, split=source.split, streaming=True))
        return
    for file in files:
        yield from read_table(kind, Path(file))


def _list_files(source: SourceConfig, folder: Path) -> Json:
    """Which files a split is made of, and what reads them; asked once, for a revision does not change."""
    record = folder / f"{source.split}.json"
    if not record.is_file():
        kind, urls = _files_of_split(source)
        names = [url.split("@", 1)[1].split("/", 1)[1] for url in urls]  # hf://datasets/PATH@REVISION/
        write_json(record, {"kind": kind, "files": names})
    listed: Json = read_json(record)
    return listed


def _files_of_split(source: SourceConfig) -> tuple[str, list[str]]:
    """What reads the files of a split, and where they are."""
    import datasets

    builder = datasets.load_dataset_builder(source.path, revision=source.revision or None)
    splits = builder.config.data_files or {}
    if source.split not in splits:
        raise ValueError(f"there is no split {source.split!r} of files, only {', '.join(map(str, splits))}")
    return type(builder).__module__.rsplit(".", 1)[1], list(splits[source.split])


def _bring(source: SourceConfig, folder: Path, name: str) -> Path:
    """One file, whole."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ValueError(f"a file named {name!r}")
    file = folder / "files" / name
    if not file.is_file():
        from huggingface_hub import hf_hub_download

        hf_hub_download(source.path, name, repo_type="dataset", revision=source.revision, local_dir=folder / "files")
    return file
