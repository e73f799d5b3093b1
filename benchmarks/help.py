"""How long `python -m train --help` takes, as a whole process: the median of 11 runs.

python -m benchmarks.help
"""

import subprocess
import sys
import time

from benchmarks.measure import median, write_result


def main() -> None:
    """Print the median and write benchmarks/results/help.json."""
    seconds = []
    for _ in range(11):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "train", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    write_result("help", {"seconds": round(median(seconds), 3), "runs": len(seconds)})
    print(f"{median(seconds):.3f} s")


if __name__ == "__main__":
    main()
