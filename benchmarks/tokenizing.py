"""Documents to tokens on disk, beside `tokenizers` alone on the same texts in memory; and the memory that it takes.

    python -m benchmarks.tokenizing [RELEASE] [--rounds 5] [--sizes 20,200]      (default: runs/tiny/release)

`ours`: documents read from Parquet, encoded, checksummed and written as shards. `tokenizers`: the same tokenizer's
`encode_batch` and `encode_batch_fast`, 1,000 texts at a time, the tokens thrown away; the quicker of the two counts. In
turns, medians; the release's documents as they are, and cut into documents of 2,000 characters. Memory: the most that a
process of its own has held, over as many megabytes of the same documents again and again.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.measure import median, write_result
from train.config import read_config
from train.documents import read_documents
from train.documents.store import write_documents
from train.numerics import peak_memory_bytes
from train.records import Document
from train.tokens import Tokenizer, load_tokenizer, write_shards

_AT_ONCE = 1000  # texts, as `datasets` hands them to a tokenizer


def cut(documents: Iterable[Document], size: int) -> Iterator[Document]:
    """The same texts as documents of at most `size` characters."""
    for document in documents:
        for start in range(0, len(document.text), size):
            text = document.text[start : start + size]
            yield replace(document, id=f"{document.id}/{start}", text=text, n_bytes=len(text.encode()))


def take(documents: Iterable[Document], n_bytes: int) -> Iterator[Document]:
    """The documents, again and again, until there are `n_bytes` of them."""
    for number, document in enumerate(cycle(documents)):
        if n_bytes <= 0:
            return
        n_bytes -= document.n_bytes
        yield replace(document, id=f"{number}")


def store(documents: Iterable[Document], folder: Path) -> int:
    """Write them as a corpus; returns their bytes."""
    total = 0
    with write_documents(folder, "train") as writer:
        for document in documents:
            writer.write(document)
            total += document.n_bytes
    return total


def open_tokenizer(release: Path) -> tuple[Tokenizer, str]:
    """The release's tokenizer, and the token that opens a document."""
    return load_tokenizer(release), read_config(release / "recipe" / "config.yaml").tokenizer.opens


def encode(tokenizer: Tokenizer, opens: str, folder: Path) -> None:
    """Our path: the documents in `folder`, as shards beside them."""
    write_shards(read_documents(folder, "train"), tokenizer, opens, folder / "tokens", "train", lambda _: None)


def alone(encode_batch: Callable[..., Any], texts: list[str]) -> None:
    """`tokenizers` and nothing else."""
    for start in range(0, len(texts), _AT_ONCE):
        encode_batch(texts[start : start + _AT_ONCE], add_special_tokens=False)


def compare(release: Path, documents: list[Document], rounds: int, work: Path) -> dict[str, Any]:
    """Megabytes a second of each, and ours beside the better of the others."""
    (tokenizer, opens), total = open_tokenizer(release), store(documents, work)
    texts = [document.text for document in documents]
    arms: dict[str, Callable[[], None]] = {
        "encode_batch": lambda: alone(tokenizer.encode_batch, texts),
        "encode_batch_fast": lambda: alone(tokenizer.encode_batch_fast, texts),
        "ours": lambda: encode(tokenizer, opens, work),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):  # the first warms the caches up
        for name in arms if number % 2 == 0 else reversed(arms):  # a machine's speed drifts
            start = time.perf_counter()
            arms[name]()
            seconds[name] += [time.perf_counter() - start] if number else []
    best = [min(pair) for pair in zip(seconds["encode_batch"], seconds["encode_batch_fast"], strict=True)]
    ratios = [theirs / mine for theirs, mine in zip(best, seconds["ours"], strict=True)]
    return {
        "documents": len(documents),
        "megabytes_per_second": {name: round(total / median(values) / 1e6, 2) for name, values in seconds.items()},
        "of_tokenizers_alone": round(median(ratios), 3),
        "by_round": [round(ratio, 3) for ratio in ratios],
    }


def memory(release: Path, documents: list[Document], megabytes: int, work: Path) -> dict[str, float]:
    """What a process of its own takes for a corpus of this size."""
    total = store(take(documents, megabytes * 10**6), work)
    command = [sys.executable, "-m", "benchmarks.tokenizing", str(release), "--encode", str(work)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return {
        "megabytes": round(total / 1e6, 1),
        "peak_memory_mb": round(int(done.stdout) / 1e6, 1),
        "megabytes_per_second": round(total / seconds / 1e6, 2),
    }


def main() -> None:
    """Measure, print and write benchmarks/results/tokenizing.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path, nargs="?", default=Path("runs/tiny/release"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="20,200")
    parser.add_argument("--encode", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.encode is not None:
        encode(*open_tokenizer(given.release), given.encode)
        print(peak_memory_bytes())
        return
    documents = list(read_documents(given.release / "data", "train"))
    pieces, result = list(cut(documents, 2000)), {}
    with tempfile.TemporaryDirectory() as name:
        for kind, corpus in (("as they are", documents), ("of 2,000 characters", pieces)):
            result[kind] = compare(given.release, corpus, given.rounds, Path(name, kind))
            print(kind, result[kind], flush=True)
        result["memory"] = []
        for size in map(int, given.sizes.split(",")):
            result["memory"].append(memory(given.release, pieces, size, Path(name, str(size))))
            print(result["memory"][-1], flush=True)
    write_result("tokenizing", result)


if __name__ == "__main__":
    main()
