"""The digest chain: at each published step (in exact arithmetic at every one) the weights' digest and the chain's.

Whoever remakes a model compares chains and finds the first step at which they part.
"""

import hashlib
import json
from pathlib import Path

from train.records import write_atomically
from train.run.metrics import read_metrics

_ROOT = "0" * 64


class Chain:
    """The lines of chain.jsonl: {"step", "weights", "chain"}."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._links = read_metrics(path)

    @property
    def head(self) -> str:
        """The digest of the whole chain."""
        return str(self._links[-1]["chain"]) if self._links else _ROOT

    def rewind(self, step: int) -> None:
        """Forget what came after `step`: it will be done again."""
        self._links = [link for link in self._links if link["step"] <= step]
        self.save()

    def add(self, step: int, weights: str) -> None:
        """Add a link. A step that stands already (saved when stopped) is not added twice."""
        self._links = [link for link in self._links if link["step"] < step]
        head = hashlib.sha256(f"{self.head}{step}{weights}".encode()).hexdigest()
        self._links.append({"step": step, "weights": weights, "chain": head})

    def save(self) -> None:
        """Write it whole."""
        with write_atomically(self.path) as file:
            file.writelines(json.dumps(link) + "\n" for link in self._links)
