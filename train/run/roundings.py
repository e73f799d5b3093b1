"""roundings.jsonl: what exact arithmetic decided close to a tie, step by step, for whoever makes the model again."""

import json
from pathlib import Path

from train.numerics import Rounding
from train.records import write_atomically
from train.run.metrics import read_metrics


class Roundings:
    """The decisions of earlier starts, and those that `rounding` takes in this one. No file where there are none."""

    def __init__(self, path: Path, rounding: Rounding) -> None:
        self._path, self._rounding = path, rounding
        self._before = read_metrics(path)

    def rewind(self, step: int) -> None:
        """Forget what came after `step`: it will be decided again."""
        self._before = [row for row in self._before if row["step"] <= step]

    def save(self) -> None:
        """Write all down."""
        rows = [*self._before, *self._rounding.rows]
        if rows:
            with write_atomically(self._path) as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
