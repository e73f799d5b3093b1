"""What `make tiny` reached and cost, from the release that it left.

python -m benchmarks.tiny [RELEASE]      (default: runs/tiny/release)
"""

import sys
from pathlib import Path

from benchmarks.measure import write_result
from train.release import read_release


def main() -> None:
    """Print the figures and write benchmarks/results/tiny.json."""
    record = read_release(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/tiny/release"))
    bits, cost = record["results"]["bits_per_byte"], record["cost"]["outcome"]
    stages = cost["seconds_by_stage"]
    stages["training"] = max(stages["training"], cost["training_seconds"])  # interrupted runs added up
    result = {
        "release": record["digest"],
        "code": record["ingredients"]["code"],
        "bits_per_byte": round(bits["total"], 4),
        "five_gram": round(bits["five_gram"], 4),
        "under_the_five_gram": round(1 - bits["total"] / bits["five_gram"], 4),
        "training_tokens": cost["tokens"],
        "training_seconds": cost["training_seconds"],
        "seconds_end_to_end": round(sum(stages.values()), 1),
        "seconds_by_stage": stages,
        "starts": record["cost"]["attempts"],
        "peak_memory_gb": cost["peak_memory_gb"],
        "flops_per_second": round(cost["flops"] / cost["training_seconds"]),
        "numerics": record["numerics"],
        "made_on": record["environment"],
    }
    write_result("tiny", result)
    for key, value in result.items():
        print(f"{key:22} {value}")


if __name__ == "__main__":
    main()
