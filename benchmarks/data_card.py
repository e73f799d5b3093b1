"""The data card of a corpus for which nothing has been trained yet: documents and tokens of a run, then the card.

    python -m benchmarks.data_card +experiment=small OUT.md

The two stages are the run's own and are not done again when it is trained.
"""

import sys
from pathlib import Path

from train.config import compose, public, resolved
from train.numerics import peak_memory_bytes
from train.parallel import Replicas
from train.recipe import Run
from train.recipe.corpus import files_of
from train.records import write_atomically
from train.release import data_card


def main(words: list[str], out: Path) -> None:
    """Make the two stages, write the card, and say what it took in memory."""
    config = compose(words)
    run = Run(config, Path(config.run.folder) / config.run.name, Replicas())
    stage = run.record.stage
    summary = stage("documents", files_of(run.config.data), "documents/summary.json", run.make_documents)
    inputs = {"documents": summary["documents_digest"]}
    tokens = stage("tokens", inputs, "tokens/validation-index.json", lambda: run.make_tokens(summary))
    record = {"ingredients": {"tokenizer": {"bytes_per_token": tokens["train"]["bytes_per_token"]}}}
    with write_atomically(out) as file:
        file.write(data_card(record, public(resolved(config)), summary, config.release))
    print(f"{out}: {tokens['train']['tokens']:,} tokens to train on; peak memory {peak_memory_bytes() / 1e6:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:-1], Path(sys.argv[-1]))
