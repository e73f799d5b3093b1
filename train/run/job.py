"""What a run is told, and all that one training needs."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from train.batches import Batches
from train.loss import Loss, NextToken
from train.model import LanguageModel
from train.numerics import Choices, Rounding
from train.optim import OptimConfig
from train.parallel import Mesh, ParallelConfig, Replicas
from train.records import MACHINE, BadInput


class Precision:
    """Names of precisions, ours and Fabric's, and the torch type of the products that are not in float8."""

    FABRIC = {"float32": "32-true", "bfloat16": "bf16-mixed", "float8": "bf16-mixed", "float64": "64-true"}  # noqa: RUF012
    DTYPE = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float8": torch.bfloat16, "float64": torch.float64}  # noqa: RUF012


@dataclass(kw_only=True)
class RunConfig:
    """How a run goes. `precision`, `compile` and `threads` left at auto (0) are chosen by a look at the machine.

    A checkpoint is made every `checkpoint_every` steps and replaced by the next; `publish` of them, evenly spaced, are
    kept for the release, with the initial weights. Of several processes, one that is not heard of for `hang_after`
    seconds is lost, and a step in which nothing moves for so long hangs: all then end, and say who stood where.
    """

    name: str = field(metadata=MACHINE)
    folder: str = field(default="runs", metadata=MACHINE)
    seed: int = 0
    precision: str = field(default="auto", metadata=MACHINE)
    compile: str = field(default="auto", metadata=MACHINE)
    threads: int = field(default=0, metadata=MACHINE)
    publish: int = 5
    checkpoint_every: int = field(default=50, metadata=MACHINE)
    evaluate_every: int = field(default=100, metadata=MACHINE)
    log_every: int = field(default=5, metadata=MACHINE)
    hang_after: int = field(default=600, metadata=MACHINE)
    prompts: list[str] = field(default_factory=list, metadata=MACHINE)

    def __post_init__(self) -> None:
        precisions, compiling = ("auto", "float32", "bfloat16", "float8"), ("auto", "blocks", "none")
        for name, allowed in (("precision", precisions), ("compile", compiling)):
            if getattr(self, name) not in allowed:
                raise BadInput(f"run.{name}={getattr(self, name)}: one of {', '.join(allowed)}")
        for name in ("publish", "checkpoint_every", "evaluate_every", "log_every", "hang_after"):
            if getattr(self, name) < 1:
                raise BadInput(f"run.{name}={getattr(self, name)}: must be at least 1")
        if self.threads < 0 or not 0 <= self.seed < 2**53:
            raise BadInput("run.threads must be at least 0 (0: chosen), run.seed from 0 to 2^53")
        if not self.name or any(char in self.name for char in "/\\\0") or self.name.startswith("."):
            raise BadInput(f"run.name={self.name!r}: a plain folder name")


@dataclass(kw_only=True, frozen=True)
class Job:
    """All that one training needs. `watch` is called every so many steps and returns metrics (it may print); where the
    processes have the model only together, by all of them.

    `from_seed`: whether the model's initial weights are made from the seed; else it has them. What is frozen stays.
    `rounding`: how exact arithmetic decides near a tie; `until`: the last step to take, for a replay of a part; 0 is
    the run's last.
    """

    folder: Path
    model: LanguageModel
    sequences: Batches
    run: RunConfig
    optim: OptimConfig
    parallel: ParallelConfig
    choices: Choices
    config_digest: str
    open_metrics: Callable[[int], AbstractContextManager[Any]]
    watch: Callable[[LanguageModel, int], Mapping[str, Any]]
    loss: Loss = field(default_factory=NextToken)
    from_seed: bool = True
    replicas: Replicas = field(default_factory=Replicas)
    mesh: Mesh = field(default_factory=Mesh)
    rounding: Rounding = field(default_factory=Rounding)
    until: int = 0

    @property
    def watches(self) -> bool:
        """Whether this process takes part in watching."""
        return self.replicas.first or self.mesh.splits

    @property
    def last_step(self) -> int:
        """The step after which the training ends."""
        return self.until or self.optim.steps

    @property
    def tokens_per_step(self) -> int:
        """Of text, over all passes of a step."""
        return self.optim.sequences_per_step * self.sequences.text_tokens
