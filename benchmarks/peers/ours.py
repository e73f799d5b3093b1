"""Our arm, and a plain PyTorch loop: `python -m benchmarks.peers.ours TOKENS.npy STEPS RESULT.json [--plain]`."""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.loop import batches_of, ours, plain
from benchmarks.measure import store_tokens
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
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    config = compose(["+experiment=tiny", f"optim.steps={given.steps}", "run.log_every=1", "run.publish=1"])
    config.run.checkpoint_every = config.run.evaluate_every = 10**9  # no peer saves or looks up in these steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = store_tokens(folder / "tokens", config.model.vocab_size, np.load(given.tokens))
        sequences = Sequences(store, config.model.seq_len, Causal())
        if given.plain:
            seconds = plain(config, batches_of(config, sequences))
        else:
            seconds = ours(config, sequences, look_at_machine(), folder / "run")
    given.result.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
