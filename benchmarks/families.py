"""The seven families side by side, from the releases that `+experiment=tiny model=FAMILY` left.

    python -m benchmarks.families [RUNS]      (default: runs)

Writes benchmarks/results/families.json, and the table into docs/families.md between its two marks. A family without a
release in RUNS keeps the figures of the release that was measured last; each row names its release and its commit.
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import earlier_result, write_result, write_table
from train.release import read_release
from train.release.cards import table

FAMILIES = ("gpt2", "bloom", "llama", "falcon", "bert", "t5", "xlnet")


def figures(record: Any) -> dict[str, Any]:
    """What one release says of itself."""
    bits, cost = record["results"]["bits_per_byte"], record["cost"]["outcome"]
    return {
        "release": record["digest"],
        "code": record["ingredients"]["code"],
        "parameters": record["weights"]["parameters"],
        "training_tokens": cost["tokens"],
        "training_seconds": cost["training_seconds"],
        "starts": record["cost"]["attempts"],
        "flops": cost["flops"],
        "peak_memory_gb": cost["peak_memory_gb"],
        "bits_per_byte": round(bits["total"], 4),
        "five_gram": round(bits["five_gram"], 4),
        "unigram": round(bits["unigram"], 4),
        "share_predicted": round(bits["tokens_predicted"] / bits["tokens"], 3),
        "left_to_right": bits["measure"]["left_to_right"],
        "processor": record["environment"]["processor"],
    }


def row(family: str, f: dict[str, Any]) -> tuple[Any, ...]:
    """A line of the table; a star where the figure is of hidden tokens."""
    star = "" if f["left_to_right"] else " \\*"
    return (
        family, f"{f['parameters'] / 1e6:.2f} M", f"{f['training_tokens'] / 1e6:.2f} M", f"{f['training_seconds']:.0f}",
        f"{f['bits_per_byte']:.3f}{star}", f"{f['five_gram']:.3f}", f"{f['unigram']:.3f}",
        f"{100 * (1 - f['bits_per_byte'] / f['five_gram']):+.1f} %",
    )  # fmt: skip


def main() -> None:
    """Print the table; write it, and the figures."""
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    folders = {name: runs / ("tiny" if name == "llama" else f"tiny-{name}") / "release" for name in FAMILIES}
    found = earlier_result("families").get("families", {})
    found |= {name: figures(read_release(folder)) for name, folder in folders.items() if folder.is_dir()}
    found = {name: found[name] for name in FAMILIES if name in found}
    head = ("family", "parameters", "tokens", "seconds", "bits per byte", "5-gram", "unigram", "under the 5-gram")
    missing = [(name, *["not yet measured"], *[""] * (len(head) - 2)) for name in FAMILIES if name not in found]
    text = table(head, [*(row(name, values) for name, values in found.items()), *missing])
    print(text)
    write_result("families", {"families": found})
    write_table("families", "families", text)


if __name__ == "__main__":
    main()
