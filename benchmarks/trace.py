"""The index of the training text: how long it takes to make, in how much memory, and how fast it answers.

    python -m benchmarks.trace [--tokens 100000000] [--search 10000000] [--repeat 11]

The text: uniform random tokens, half of them overwritten by passages of 50 tokens copied from before: much of it
stands in it twice. The making is measured in a process of its own (peak memory of the process, torch and all).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import median, random_tokens, write_result
from train.index import build_index, open_index
from train.numerics import peak_memory_bytes, uniform_integers
from train.records import digest_file, read_json, write_json
from train.tokens import TokenStore

VOCABULARY, PASSAGE = 4096, 50


def make_store(folder: Path, count: int) -> None:
    """A token store of `count` tokens, half of it copied."""
    random_tokens(folder, VOCABULARY, count)
    path = folder / "train-00000.bin"
    tokens = np.fromfile(path, "<u2").reshape(-1, PASSAGE)
    places = np.arange(1, len(tokens), 2)
    tokens[places] = tokens[(uniform_integers(len(places), 3) % places.astype(np.uint64)).astype(np.int64)]
    tokens.tofile(path)
    index = read_json(folder / "train-index.json")
    index["shards"][0]["sha256"] = digest_file(path)
    write_json(folder / "train-index.json", index)


def build(folder: Path) -> None:
    """In a process of its own: make the index, print seconds and peak memory in bytes."""
    start = time.perf_counter()
    build_index(TokenStore(folder, "train"), folder)
    print(time.perf_counter() - start, peak_memory_bytes())


def built(folder: Path, count: int) -> tuple[float, float]:
    """Seconds and gigabytes that the index of `count` tokens takes to make."""
    make_store(folder, count)
    command = [sys.executable, "-m", "benchmarks.trace", "--build", str(folder)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]), float(out[1]) / 1e9


def main() -> None:
    """Measure, print and write benchmarks/results/trace.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=100_000_000)
    parser.add_argument("--search", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=11)
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build is not None:
        build(given.build)
        return
    with tempfile.TemporaryDirectory() as name:
        seconds, memory = built(Path(name, "large"), given.tokens)
        small = Path(name, "small")
        built(small, given.search)
        index = open_index(small, "")
        query = np.concatenate([np.asarray(index.tokens[1000 * n : 1000 * n + 25], np.int64) for n in range(20)])
        index.passages(query, 8)
        times = []
        for _ in range(given.repeat):
            start = time.perf_counter()
            found = index.passages(query, 8)
            times.append(time.perf_counter() - start)
    result = {
        "tokens_indexed": given.tokens,
        "seconds_to_index": round(seconds, 1),
        "peak_memory_gb": round(memory, 2),
        "tokens_searched": given.search,
        "query_tokens": len(query),
        "passages_found": len(found),
        "milliseconds_a_query": round(1000 * median(times), 1),
    }
    write_result("trace", result)
    for key, value in result.items():
        print(f"{key:22} {value}")


if __name__ == "__main__":
    main()
