"""From the command to the end of the first step, as a person waits for it: a run of `tiny` that is not its first.

    python -m benchmarks.start [RUN] [--rounds 5]      (default: runs/tiny, whose documents and tokens are there)

`anew`: documents and tokens are done, nothing is trained: what the training will take is foretold by four steps, and
the initial weights are saved, before the first step. `resumed`: the same run, stopped in its first steps and given
again. Compiled blocks come from the project's cache, which a round before the others fills.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import median, write_result
from train.numerics import look_at_machine

_KEPT = ("config.json", "documents", "tokens", "done/documents.json", "done/tokens.json")


def copy_run(run: Path, folder: Path) -> None:
    """A run as it was before its training."""
    for name in _KEPT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (run / name).is_dir() else shutil.copyfile
        copy(run / name, folder / name)


def seconds_to_first_step(folder: Path) -> float:
    """Start the command, wait for the line that its first step writes, and stop it."""
    metrics = folder / "metrics.jsonl"
    metrics.unlink(missing_ok=True)
    words = ["+experiment=tiny", f"run.folder={folder.parent}", f"run.name={folder.name}"]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "train", *words], stdout=subprocess.DEVNULL)
    try:
        while not (metrics.is_file() and metrics.stat().st_size):
            if process.poll() is not None:
                raise SystemExit(f"the run ended before its first step, with {process.returncode}")
            time.sleep(0.005)
        return time.perf_counter() - start
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Print the medians and write benchmarks/results/start.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/tiny"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {"anew": [], "resumed": []}
    with tempfile.TemporaryDirectory() as name:
        for number in range(given.rounds + 1):
            folder = Path(name, str(number), "tiny")
            copy_run(given.run, folder)
            for kind, values in seconds.items():
                values.append(seconds_to_first_step(folder))
                print(f"{kind:8} {values[-1]:6.2f} s{' (fills the cache)' if number == 0 else ''}", flush=True)
            shutil.rmtree(folder)
    result = {
        "seconds": {kind: round(median(values[1:]), 2) for kind, values in seconds.items()},
        "by_round": {kind: [round(value, 2) for value in values[1:]] for kind, values in seconds.items()},
        "first_round": {kind: round(values[0], 2) for kind, values in seconds.items()},
        "choices": look_at_machine().record(),
    }
    write_result("start", result)
    print(result["seconds"])


if __name__ == "__main__":
    main()
