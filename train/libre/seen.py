"""At which steps a document was seen: the order of the sequences, computed again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from train.batches import build_objective, check_order, whole_order
from train.config import Config, read_config
from train.tokens import TokenStore, load_vocabulary
from train.tune import TuneName, rows_of


class Seen:
    """`holding`: the sequences, (first, last), that hold a token of a document; each document has so many `parts`."""

    def __init__(self, config: Config, count: int, holding: Callable[[int], tuple[int, int]], parts: int = 1) -> None:
        self._per_step, self._holding, self.parts = config.optim.sequences_per_step, holding, parts
        steps, sizes = config.optim.steps, {"sequences": count, "sequences_per_step": self._per_step}
        check_order(steps, **sizes)
        self._sequences = np.concatenate(list(whole_order(config.run.seed, steps, **sizes)))

    def steps(self, document: int) -> list[int]:
        """The steps, from 1, whose batch held a token of this document."""
        first, last = self._holding(document)
        places = np.flatnonzero((self._sequences >= first) & (self._sequences <= last))
        steps: list[int] = np.unique(places // self._per_step + 1).tolist()
        return steps


def seen_of(release: Path, store: TokenStore) -> Seen:
    """Of a release whose training tokens are in `store`."""
    config = read_config(release / "recipe" / "config.yaml")
    vocabulary = load_vocabulary(release)
    if config.tune.on:
        parts = 2 if config.tune.name is TuneName.dpo else 1
        rows = rows_of(config.tune, store.lengths(), config.model.seq_len, text_to_text=bool(vocabulary.sentinels))
        place = {example: number for number, row in enumerate(rows) for example in row}
        return Seen(config, len(rows), lambda document: (place[document], place[document]), parts)
    text, read = build_objective(config.objective, vocabulary).window(config.model.seq_len)

    def holding(document: int) -> tuple[int, int]:
        start, stop = int(store.offsets[document]), int(store.offsets[document + 1])
        return max(0, -(-(start - read + 1) // text)), (stop - 1) // text

    return Seen(config, (len(store) - (read - text)) // text, holding)
