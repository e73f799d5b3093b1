"""Fusée beside litgpt and `transformers`' Trainer: the same model, batch and tokens; speed, and quality for equal time.

    python -m benchmarks.peers RELEASE --python PYTHON [--rounds 3] [--steps 24] [--sequences 8,16] [--seconds 0]

RELEASE is what `make tiny` left: its tokens are trained on, its held-out documents measured with. PYTHON is a virtual
environment's that has the peers (`pip install torch==2.13.0 litgpt transformers accelerate`). Speed: each arm is a
process of its own, all take turns, medians of steps without the first five. Quality: with --seconds N each peer trains
as many steps as it takes in N seconds, once at its defaults (litgpt: 512 sequences a step; the Trainer: a learning rate
of 0.00005) and once kinder (8 sequences, 0.001, 100 steps of warm-up), and is measured as a release is; with
--sequences '' nothing else is measured. The release should be of a training that took about as long. Where
bfloat16 is not the faster, speed is compared in float32 alone and written into peers-float32.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import median, write_result
from train.batches import build_objective
from train.config import read_config
from train.documents import read_documents
from train.evaluate import evaluate_texts, read_texts
from train.hugging_face import from_hugging_face
from train.numerics import look_at_machine
from train.release import read_release
from train.tokens import TokenStore, load_tokenizer, load_vocabulary, write_shards

HERE = Path(__file__).parent
_WARM_UP = 5
_LENGTH = 256

_BF16 = look_at_machine().precision == "bfloat16"
# arm: (which script, its options); the first of each peer is what its users get who choose nothing
_ARMS = {
    "plain float32": ("ours", ["--plain"]),
    "litgpt": ("litgpt", []),
    "litgpt float32": ("litgpt", ["--precision", "32-true"]),
    "trainer": ("trainer", []),
    "trainer compiled": ("trainer", ["--compile"]),
    "trainer bf16": ("trainer", ["--bf16"]),
    "trainer bf16 compiled": ("trainer", ["--bf16", "--compile"]),
    "fusée": ("ours", []),
}
_IN_BF16 = {"litgpt", "trainer bf16", "trainer bf16 compiled"}
ARMS = {name: arm for name, arm in _ARMS.items() if _BF16 or name not in _IN_BF16}
DEFAULTS = ARMS.keys() & {"plain float32", "litgpt", "trainer"}
# in the precision that this machine is good at, which is ours
_LITGPT, _TRAINER = ("litgpt", "trainer bf16 compiled") if _BF16 else ("litgpt float32", "trainer compiled")
# what is trained for its quality: each peer as it comes, and with a batch and a learning rate that suit it better
TRAININGS = {
    "litgpt defaults": ("litgpt", ["--sequences", "4", "--accumulate", "128", "--warmup", "2000"]),
    "litgpt kinder": (_LITGPT, []),
    "trainer defaults": ("trainer", []),
    "trainer kinder": (_TRAINER, ["--lr", "1e-3", "--warmup", "100"]),
}


def main() -> None:
    """Print the tables and write benchmarks/results/peers.json (or peers-float32.json), peers-quality.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--python", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--sequences", default="8,16")
    parser.add_argument("--seconds", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        tokens, peers = prepare(given.release, work), {"peers": versions(given.python)}
        if given.sequences:
            found = {count: speeds(given, count, tokens, work) for count in map(int, given.sequences.split(","))}
            report("peers" if _BF16 else "peers-float32", {"by_sequences_per_step": found, **peers})
        if given.seconds:
            report("peers-quality", {**quality(given, tokens, work), **peers})


def report(name: str, result: dict[str, Any]) -> None:
    """Write a result, and print it."""
    write_result(name, result)
    print(json.dumps(result, indent=2))


def speeds(given: argparse.Namespace, sequences: int, tokens: Path, work: Path) -> dict[str, Any]:
    """Tokens a second and peak memory of each arm, in turn; and how many times the others ours are."""
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    memory: dict[str, float] = {}
    for number in range(given.rounds):
        for arm in ARMS if number % 2 == 0 else reversed(ARMS):  # a machine's speed drifts
            done = take(arm, given.python, tokens, given.steps, work, "--sequences", str(sequences))
            seconds[arm] += done["seconds"][_WARM_UP:]
            memory[arm] = max(memory.get(arm, 0), done["peak_memory_bytes"])
            print(f"{arm:22} {sequences * _LENGTH / median(seconds[arm]):9,.0f} tokens/s", flush=True)
    speed = {arm: round(sequences * _LENGTH / median(values), 1) for arm, values in seconds.items()}
    ours = speed["fusée"]
    return {
        "tokens_per_second": speed,
        "times_the_best_default": round(ours / max(speed[arm] for arm in DEFAULTS), 3),
        "times_the_best_of_all": round(ours / max(value for arm, value in speed.items() if arm != "fusée"), 3),
        "peak_memory_bytes": memory,
        "memory_beside_litgpt": round(memory["fusée"] / memory[_LITGPT], 3),
    }


def prepare(release: Path, work: Path) -> Path:
    """The release's training tokens as one array, and its held-out documents as a store."""
    tokenizer, opens = load_tokenizer(release), read_config(release / "recipe" / "config.yaml").tokenizer.opens
    for split in ("train", "validation"):
        write_shards(read_documents(release / "data", split), tokenizer, opens, work / "tokens", split, lambda _: None)
    store = TokenStore(work / "tokens", "train")
    np.save(work / "tokens.npy", store.read(0, len(store)).astype(np.uint16))
    return work / "tokens.npy"


def take(arm: str, python: Path, tokens: Path, steps: int, work: Path, *more: str) -> dict[str, Any]:
    """The seconds of each step of an arm, in a process of its own, and the most memory that it held."""
    kind, options = _ARMS[arm]
    script = [sys.executable, "-m", "benchmarks.peers.ours"] if kind == "ours" else [python, HERE / f"{kind}_arm.py"]
    result = work / "result.json"
    command = [str(word) for word in (*script, tokens, steps, result, *options, *more)]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if done.returncode:
        raise SystemExit(f"{arm}: {done.stderr[-2000:]}")
    return dict(json.loads(result.read_text()))


def quality(given: argparse.Namespace, tokens: Path, work: Path) -> dict[str, Any]:
    """Bits per byte of each peer after `given.seconds` of training, and the release's own after its own."""
    found: dict[str, Any] = {}
    for name, (arm, more) in TRAININGS.items():
        tried = median(take(arm, given.python, tokens, given.steps, work, *more)["seconds"][_WARM_UP:])
        steps = int(given.seconds / tried)
        took = take(arm, given.python, tokens, steps, work, *more, "--save", str(work / name))["seconds"]
        bits = score(work / name, given.release, work)
        found[name] = {"bits_per_byte": bits, "passes": steps, "seconds": round(sum(took), 1)}
        print(name, found[name], flush=True)
    record = read_release(given.release)
    ours, cost = record["results"]["bits_per_byte"], record["cost"]["outcome"]
    for kind in ("defaults", "kinder"):
        best = min(found[name]["bits_per_byte"] for name in TRAININGS if name.endswith(kind))
        found[f"fewer_bits_than_the_best_{kind}"] = round(1 - ours["total"] / best, 3)
    found["fusée"] = {"bits_per_byte": ours["total"], "seconds": cost["training_seconds"]}
    found["5-gram"] = {"bits_per_byte": ours["five_gram"]}
    return found


def score(folder: Path, release: Path, work: Path) -> float:
    """Bits per byte on the release's held-out documents."""
    config = read_config(release / "recipe" / "config.yaml")
    texts = read_texts(TokenStore(work / "tokens", "validation"), read_documents(release / "data", "validation"))
    objective = build_objective(config.objective, load_vocabulary(release))
    return float(evaluate_texts(from_hugging_face(folder), objective, texts, config.evaluate).report["total"])


def versions(python: Path) -> dict[str, str]:
    """What the peers' environment holds."""
    ask = "from importlib.metadata import version as v; import json; print(json.dumps({n: v(n) for n in "
    ask += "('torch', 'litgpt', 'lightning', 'transformers')}))"
    done = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
