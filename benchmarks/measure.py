"""What the benchmarks share: a corpus of tokens, and a result on disk with the command and the machine."""

import gc
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.__main__ import GARBAGE
from train.numerics import describe_machine, uniform_integers
from train.records import digest_file, read_json, write_json
from train.tokens import TokenStore, token_dtype

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"
gc.set_threshold(*GARBAGE)  # as every `python -m train`


def write_result(name: str, values: dict[str, Any]) -> None:
    """`benchmarks/results/NAME.json`: the figures, the command, the machine."""
    asked = sys.modules["__main__"].__spec__
    assert asked is not None, "run it with python -m"
    command = shlex.join(["python", "-m", asked.name.removesuffix(".__main__"), *sys.argv[1:]])
    write_json(RESULTS / f"{name}.json", {"command": command, "machine": describe_machine(), **values})


def earlier_result(name: str) -> dict[str, Any]:
    """What `write_result` wrote last; nothing where it never did."""
    result = RESULTS / f"{name}.json"
    return dict(read_json(result)) if result.is_file() else {}


def write_table(name: str, page: str, text: str) -> None:
    """Put the table of `python -m benchmarks.NAME` into docs/PAGE.md, between its two marks."""
    begin, end, path = f"<!-- table: python -m benchmarks.{name} -->", "<!-- end of table -->", DOCS / f"{page}.md"
    before, rest = path.read_text("utf-8").split(begin)
    after = rest.split(end, 1)[1]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def random_tokens(folder: Path, vocab_size: int, count: int) -> TokenStore:
    """A store of `count` random tokens: speed does not depend on what they say."""
    return store_tokens(folder, vocab_size, uniform_integers(count, 1) % np.uint64(vocab_size))


def store_tokens(folder: Path, vocab_size: int, tokens: npt.NDArray[Any]) -> TokenStore:
    """A store of these tokens, as one document."""
    dtype, count = token_dtype(vocab_size), len(tokens)
    folder.mkdir(parents=True, exist_ok=True)
    tokens.astype(dtype).tofile(folder / "train-00000.bin")
    np.save(folder / "train-offsets.npy", np.array([0, count], "<i8"))
    shard = {"file": "train-00000.bin", "tokens": count, "sha256": digest_file(folder / "train-00000.bin")}
    index = {
        "dtype": dtype, "vocab_size": vocab_size, "digest": "", "shards": [shard],
        "offsets_sha256": digest_file(folder / "train-offsets.npy"),
    }  # fmt: skip
    write_json(folder / "train-index.json", index)
    return TokenStore(folder, "train")


def median(values: list[float]) -> float:
    """The median."""
    return float(np.median(values))
