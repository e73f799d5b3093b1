"""A corpus judged by one process, and in parts: what a job of the array takes, and what putting them together takes.

    python -m benchmarks.parts [RELEASE] [--shares 1,4,16]      (default: runs/tiny/release)

The documents of a release, as a dataset in Parquet. Seconds of one core, one after the other; `longest`: of the jobs,
which on a cluster go side by side. That the corpus is the same is checked.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import write_result
from train.config import compose
from train.documents import SPLITS, DataConfig, Share, build_corpus, prepare_part, read_documents

_COLUMNS = ("id", "text", "title", "date", "licence")


def as_dataset(release: Path, folder: Path) -> DataConfig:
    """The texts of a release as a table, read as one from elsewhere would be."""
    import pyarrow as arrow
    from pyarrow import parquet

    documents = (one for split in SPLITS for one in read_documents(release / "data", split))
    rows = [{**{name: getattr(one, name) for name in _COLUMNS}, "authors": list(one.authors)} for one in documents]
    (folder / "data").mkdir(parents=True)
    parquet.write_table(arrow.Table.from_pylist(rows), folder / "data" / "train-0.parquet", row_group_size=1000)
    source = [f"data.sources.huggingface.path={folder}", "data.sources.huggingface.revision=main"]
    licences = sorted({row["licence"] for row in rows})
    return compose(["+experiment=tiny", "data=huggingface", *source, f"data.rules.licences={licences}"]).data


def seconds(work: Callable[..., Any], *given: Any, **named: Any) -> tuple[float, Any]:
    """How long it takes the processor, and what comes out."""
    start = time.process_time()
    found = work(*given, **named)
    return round(time.process_time() - start, 2), found


def nobody(n_bytes: int) -> None:
    """Who is told how far it is."""


def main() -> None:
    """Print and write benchmarks/results/parts.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path, nargs="?", default=Path("runs/tiny/release"))
    parser.add_argument("--shares", default="1,4,16")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        data = as_dataset(given.release, folder / "dataset")

        build_corpus(data, folder / "warm", nobody)
        alone, summary = seconds(build_corpus, data, folder / "alone", nobody)
        megabytes = summary["kept_bytes"] / 1e6
        print(f"{summary['kept']} documents kept of {summary['seen']}, {megabytes:.0f} MB\nalone      {alone:.1f} s")
        rows = []
        for count in map(int, given.shares.split(",")):
            parts = folder / f"parts-{count}"
            took = [seconds(prepare_part, data, Share(part, count), parts, nobody)[0] for part in range(count)]
            joining, joined = seconds(build_corpus, data, folder / f"joined-{count}", nobody, parts=parts)
            assert joined == summary, "the parts make another corpus"
            rows.append({"shares": count, "longest": max(took), "all": round(sum(took), 2), "joining": joining})
            print(
                f"{count:>3} shares  {max(took):.1f} s the longest, {sum(took):.1f} s in all, {joining:.1f} s to join"
            )
    write_result("parts", {"megabytes": round(megabytes, 1), "documents": summary["kept"], "alone": alone, "in": rows})


if __name__ == "__main__":
    main()
