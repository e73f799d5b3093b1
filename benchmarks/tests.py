"""How long `make test` takes, as a person waits for it, and what pytest says last.

python -m benchmarks.tests
"""

import subprocess
import sys
import time

from benchmarks.measure import write_result


def main() -> None:
    """Run the tests, print the figures and write benchmarks/results/tests.json."""
    start = time.perf_counter()
    done = subprocess.run(["make", "test"], capture_output=True, text=True, check=False)
    seconds = round(time.perf_counter() - start, 1)
    said = next((line for line in reversed(done.stdout.splitlines()) if " passed" in line), done.stdout[-500:])
    write_result("tests", {"seconds": seconds, "passed": done.returncode == 0, "said": said.strip("= ")})
    print(f"{seconds} s: {said}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
