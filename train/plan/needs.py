"""What decides how much a run takes: some parts of its config, and tokens that are invented."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.batches import ObjectiveConfig, Sequences, build_objective
from train.model import ModelConfig
from train.numerics import uniform_integers
from train.optim import OptimConfig
from train.parallel import ParallelConfig
from train.tokens import Vocabulary

_ROLES = ("end", "pad", "mask", "cls", "sep")


@dataclass(frozen=True)
class Needs:
    """The parts of a config that decide what a run takes. `precision`: of the products, as in `Choices`."""

    model: ModelConfig
    objective: ObjectiveConfig
    optim: OptimConfig
    parallel: ParallelConfig
    sentinels: int
    precision: str = "bfloat16"

    def sequences(self) -> Sequences:
        """Sequences of invented tokens, as many as one likes; each step reads them whole."""
        size, sentinels = self.model.vocab_size, range(len(_ROLES), len(_ROLES) + self.sentinels)
        roles = {role: number for number, role in enumerate(_ROLES)}
        plain = np.zeros(size, bool)
        vocabulary = Vocabulary(size, roles, tuple(sentinels), plain, plain)
        return Sequences(_Invented(size), self.model.seq_len, build_objective(self.objective, vocabulary))


class _Invented:
    """Tokens that mean nothing, to measure with."""

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = np.uint64(vocab_size)

    def __len__(self) -> int:
        return 2**40

    def read(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The same for a place, always."""
        return (uniform_integers(stop - start, start) % self._vocab_size).astype(np.int64)

    def document_at(self, position: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """All in one."""
        return np.zeros_like(position)
