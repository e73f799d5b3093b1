"""Our arm, and a plain PyTorch loop.

python -m benchmarks.peers.ours TOKENS.npy STEPS RESULT.json [--sequences 8] [--plain]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.loop import batches_of, ours, plain
from benchmarks.measure import store_tokens
from benchmarks.peers import report
from train.batches import Sequences
from train.batches.objectives import Causal
from train.config import compose
from train.numerics import look_at_machine


def main() -> None:
    """Seconds of each step, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens")
    parser.add_argument("steps", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    steps = [f"optim.steps={given.steps}", f"optim.sequences_per_step={given.sequences}"]
    config = compose(["+experiment=tiny", *steps, "run.log_every=1", "run.publish=1"])
    config.run.checkpoint_every = config.run.evaluate_every = 10**9  # no peer saves or looks up in these steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = store_tokens(folder / "tokens", config.model.vocab_size, np.load(given.tokens))
        sequences = Sequences(store, config.model.seq_len, Causal())
        if given.plain:
            seconds = plain(config, batches_of(config, sequences))
        else:
            seconds = ours(config, sequences, look_at_machine(), folder / "run")
    report.write(given.result, seconds)


if __name__ == "__main__":
    main()
