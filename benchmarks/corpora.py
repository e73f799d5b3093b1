"""What a corpus costs by its size: seconds and the most memory of the stages `documents` and `tokens`.

    python -m benchmarks.corpora [--sizes 10,100] [--work FOLDER]

Sizes are megabytes; 10000 take hours and 15 GB of disk. FOLDER keeps what was made, and a later call goes on with it.

Invented texts of about 2,000 bytes, all different, in one Parquet table, through the stages of a run, each a process of
its own. `bytes_per_document`: what the memory of `documents` grows by from the smallest corpus to the largest; most of
it is bounded, the table of near duplicates, which is full at 560 megabytes. Writes benchmarks/results/corpora.json and
docs/corpora.png.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import write_result
from train.config import compose
from train.numerics import peak_memory_bytes
from train.parallel import Replicas
from train.recipe import Run
from train.records import read_json, write_json

PLOT = Path(__file__).parent.parent / "docs" / "corpora.png"
_WORDS = 320  # of a text
_VOCABULARY = 30_000


def texts(n_bytes: int) -> Iterator[str]:
    """Invented texts whose words fall off as Zipf says."""
    random = np.random.default_rng(0)
    letters, chances = np.array(list("etaoinshrdlucmfwygpb")), 1 / np.arange(1, _VOCABULARY + 1)
    words = np.array(["".join(random.choice(letters, size)) for size in random.integers(2, 10, _VOCABULARY)])
    edges = np.cumsum(chances / chances.sum())
    while n_bytes > 0:
        text = " ".join(words[np.searchsorted(edges, random.random(_WORDS)).clip(max=_VOCABULARY - 1)])
        n_bytes -= len(text)
        yield text


def write_corpus(folder: Path, megabytes: int) -> None:
    """A table of texts."""
    import pyarrow as arrow
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    schema, rows = arrow.schema([("id", arrow.string()), ("text", arrow.string())]), []
    with parquet.ParquetWriter(folder / "texts.parquet", schema, compression="zstd") as writer:
        for number, text in enumerate(texts(megabytes * 10**6)):
            rows.append({"id": str(number), "text": text})
            if len(rows) == 1000:
                writer.write_table(arrow.Table.from_pylist(rows, schema))
                rows = []
        if rows:
            writer.write_table(arrow.Table.from_pylist(rows, schema))


def run_stage(stage: str, folder: Path) -> None:
    """One stage of a run on the corpus in `folder`; leaves what it took in folder/STAGE.json."""
    source = "data.sources.files"
    config = compose([
        "+experiment=tiny", "data=files", f"{source}.path={folder / 'corpus'}", f"{source}.licence=CC0-1.0",
        f"{source}.language=en", f"{source}.rights_reserved='none: invented'", "run.name=run", f"run.folder={folder}",
    ])  # fmt: skip
    run = Run(config, folder / "run", Replicas())
    start = time.perf_counter()
    if stage == "documents":
        found = run.make_documents()
        write_json(folder / "summary.json", found)
    else:
        found = run.make_tokens(read_json(folder / "summary.json"))
    took = {"seconds": round(time.perf_counter() - start, 2), "peak_memory_mb": round(peak_memory_bytes() / 1e6, 1)}
    write_json(folder / f"{stage}.json", took)


def point(megabytes: int, work: Path) -> dict[str, Any]:
    """Both stages on a corpus of this size, as far as they were not measured before."""
    folder = work / str(megabytes)
    if not (folder / "documents.json").is_file():
        write_corpus(folder / "corpus", megabytes)
    found: dict[str, Any] = {"megabytes": megabytes}
    for stage in ("documents", "tokens"):
        if not (folder / f"{stage}.json").is_file():
            command = [sys.executable, "-m", "benchmarks.corpora", "--stage", stage, str(folder)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found[stage] = read_json(folder / f"{stage}.json")
    return {**found, "documents_seen": read_json(folder / "summary.json")["seen"]}


def plot(points: list[dict[str, Any]]) -> None:
    """Seconds and memory against megabytes, both axes in powers of ten."""
    from train.run.plots import BLUE, ORANGE, save_figure, styled_axes

    figure, axes = styled_axes("a corpus by its size", 1, 2, sharex=False)
    sizes = [point["megabytes"] for point in points]
    for axis, key, label in ((axes[0], "seconds", "seconds"), (axes[1], "peak_memory_mb", "peak memory (MB)")):
        for stage, colour in (("documents", BLUE), ("tokens", ORANGE)):
            axis.plot(sizes, [point[stage][key] for point in points], "o-", color=colour, label=stage)
        axis.set_xscale("log")
        axis.set_xlabel("megabytes of text")
        axis.set_ylabel(label)
        axis.legend(frameon=False)
    axes[0].set_yscale("log")
    axes[1].set_ylim(bottom=0)
    save_figure(figure, PLOT)


def main() -> None:
    """Measure, print, plot, and write benchmarks/results/corpora.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10,100")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        run_stage(given.stage[0], Path(given.stage[1]))
        return
    points = []
    with tempfile.TemporaryDirectory() as name:
        for size in map(int, given.sizes.split(",")):
            points.append(point(size, given.work or Path(name)))
            print(points[-1], flush=True)
    first, last = points[0], points[-1]
    more = last["documents_seen"] - first["documents_seen"]
    grown = 1e6 * (last["documents"]["peak_memory_mb"] - first["documents"]["peak_memory_mb"])
    write_result("corpora", {"points": points, "bytes_per_document": round(grown / more) if more else None})
    plot(points)


if __name__ == "__main__":
    main()
