"""A dataset of the Hub, fetched as far as the run reads, and read again where there is no network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.documents.hub_server import COMMIT, serve_hub
from tests.documents.test_corpus import make_text

_BUILD = """
import sys
from pathlib import Path
from train.config import compose
from train.documents import build_corpus
config = compose(sys.argv[2:])
print(build_corpus(config.data, Path(sys.argv[1]), lambda n_bytes: None)["documents_digest"])
"""


def write_dataset(folder: Path) -> None:
    """Three files of 40 texts; the names are not in the order of the alphabet's first letters alone."""
    import pyarrow
    import pyarrow.parquet

    for part in range(3):
        rows = [{"body": make_text(100 * part + n), "by": f"Author {n}", "name": f"{part}-{n}"} for n in range(40)]
        path = folder / "data" / f"train-{part:05}-of-00003.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# Texts\n", "utf-8")


def words(path: str, cache: Path, most_bytes: int) -> list[str]:
    hub = "data.sources.huggingface"
    return [
        "+experiment=smoke", "data=huggingface", f"{hub}.path={path}", f"{hub}.revision={COMMIT}",
        f"{hub}.most_bytes={most_bytes}", f"{hub}.licence=CC0-1.0", f"{hub}.language=en",
        f"+{hub}.fields={{text: body, authors: by, id: name}}", f"data.cache={cache}",
    ]  # fmt: skip


def python(*asked: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the Hub's address is read once."""
    return subprocess.run(
        [sys.executable, *asked],
        check=False,
        cwd=ROOT,
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_what_was_fetched_is_read_without_a_network(tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset")
    most = sum(len(make_text(n).encode()) for n in range(40)) + 10  # a little of the second file
    cache, offline = tmp_path / "cache", {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    asked = words("us/texts", cache, most)
    refused = python("-c", _BUILD, str(tmp_path / "early"), *asked, **offline)
    assert "python -m train fetch" in refused.stderr
    with serve_hub(tmp_path / "dataset", "us/texts") as (address, taken):
        fetched = python("-m", "train", "fetch", *asked, "--json", str(tmp_path / "f.json"), HF_ENDPOINT=address)
        assert fetched.returncode == 0, fetched.stderr
        assert {name for name in taken if name.endswith(".parquet")} == {
            f"data/train-{part:05}-of-00003.parquet" for part in (0, 1)
        }
    assert json.loads((tmp_path / "f.json").read_text()) == [str(cache / "hub" / f"us--texts@{COMMIT}")]
    read = python("-c", _BUILD, str(tmp_path / "out"), *asked, **offline)
    assert read.returncode == 0, read.stderr
    streamed = python("-c", _BUILD, str(tmp_path / "again"), *words(str(tmp_path / "dataset"), cache, most))
    sources = [(tmp_path / folder / "manifest.jsonl").read_text() for folder in ("out", "again")]
    texts = [[json.loads(line)["sha256"] for line in lines.splitlines()] for lines in sources]
    assert texts[0] == texts[1], streamed.stderr
    assert 35 < len(texts[0]) < 45
    more = python("-c", _BUILD, str(tmp_path / "more"), *words("us/texts", cache, 0), **offline)
    assert "python -m train fetch" in more.stderr
