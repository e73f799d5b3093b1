"""What a tuning is told."""

import math
from dataclasses import dataclass, field
from enum import Enum

from train.model import Purpose
from train.records import MACHINE, BadInput


class TuneName(Enum):
    """How a model is tuned; `none`: its weights begin from the seed."""

    none = "none"
    sft = "sft"
    lora = "lora"
    dpo = "dpo"
    tag = "tag"
    classify = "classify"
    extract = "extract"


@dataclass(kw_only=True)
class TuneConfig:
    """`base`: the folder of the model to tune; `from` is a word of Python's, so `tune.from` is what a user writes.

    `digest`: the base's, filled in when the config is composed. `rank`, `alpha`, `dora`, `targets` are of the adapters
    of lora: `targets` names linear layers by their last name (q, k, v, o, gate, up, down); none named is all that
    Hugging Face's format keeps apart. `beta` is of dpo: how dearly it pays to depart from the base. `task`:
    what the answers of sft and lora are scored by; left out, it is NAME for a corpus called task_NAME.
    """

    name: TuneName = TuneName.none
    base: str = field(default="", metadata=MACHINE)
    digest: str = ""
    rank: int = 8
    alpha: float = 16.0
    dora: bool = False
    targets: list[str] = field(default_factory=list)
    beta: float = 0.1
    task: str = field(default="", metadata=MACHINE)
    why: str = field(default="", metadata=MACHINE)

    @property
    def on(self) -> bool:
        """Whether anything is tuned."""
        return self.name is not TuneName.none

    @property
    def purpose(self) -> Purpose | None:
        """What an encoder learns to label; None if a model learns to answer, or nothing is tuned."""
        return Purpose(self.name.value) if self.name.value in {purpose.value for purpose in Purpose} else None

    def __post_init__(self) -> None:
        if self.on and not self.base:
            raise BadInput(f"tune={self.name.value}: tunes a model; say in which folder it lies: tune.from=FOLDER")
        if not self.on and self.base:
            ways = ", ".join(f"tune={way.value}" for way in TuneName if way is not TuneName.none)
            raise BadInput(f"tune.from: say how to tune it as well: one of {ways}")
        if self.rank < 1 or not 0 < self.alpha < math.inf or not 0 < self.beta < math.inf:
            raise BadInput("tune.rank must be at least 1; tune.alpha and tune.beta more than 0")
