"""Everything that a run is told, and what two rooms must agree on."""

from dataclasses import dataclass, field
from enum import Enum

from train.batches import ObjectiveConfig, check_needs
from train.documents import DataConfig
from train.evaluate import EvaluateConfig
from train.model import FAMILIES, ModelConfig
from train.optim import OptimConfig, Schedule
from train.parallel import ParallelConfig, micro_steps
from train.records import BadInput
from train.release import ReleaseConfig
from train.run import LoggerConfig, RunConfig
from train.tokens import TokenizerConfig
from train.tune import TuneConfig


class NumericsName(Enum):
    """The arithmetic: `fast` gives the same bits on one class of machine with the recorded number of threads, `exact`
    on every machine."""

    fast = "fast"
    exact = "exact"


@dataclass(kw_only=True)
class NumericsConfig:
    """Which arithmetic the weights are made in."""

    name: NumericsName

    @property
    def exact(self) -> bool:
        """Whether the weights are to be the same everywhere."""
        return self.name is NumericsName.exact


@dataclass(kw_only=True)
class Config:
    """Everything that a run is told."""

    data: DataConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    objective: ObjectiveConfig
    optim: OptimConfig
    numerics: NumericsConfig
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    run: RunConfig
    evaluate: EvaluateConfig
    release: ReleaseConfig
    tune: TuneConfig = field(default_factory=TuneConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)

    @property
    def precision(self) -> str:
        """What is computed in: exact arithmetic has its own, else the run's choice."""
        return "float64" if self.numerics.exact else self.run.precision

    def __post_init__(self) -> None:
        """What two rooms must agree on."""
        if self.model.vocab_size != self.tokenizer.vocab_size:
            raise BadInput(
                f"model.vocab_size={self.model.vocab_size} is not tokenizer.vocab_size={self.tokenizer.vocab_size}: "
                "set the tokenizer's, the model's follows"
            )
        if self.evaluate.stride > self.model.seq_len:
            raise BadInput(f"evaluate.stride={self.evaluate.stride}: at most model.seq_len={self.model.seq_len}")
        learns, wanted = FAMILIES[self.model.name].OBJECTIVE, self.objective.name.value
        if learns != wanted:
            raise BadInput(f"objective={wanted}: a {self.model.name} learns by {learns}; leave the objective out")
        if self.evaluate.tasks and learns not in {"causal", "permutation"}:
            raise BadInput(f"evaluate.tasks: a {self.model.name} does not read from left to right; leave them out")
        if self.numerics.exact and self.run.precision != "auto":
            raise BadInput(f"run.precision={self.run.precision}: numerics=exact computes in float64; leave it out")
        if self.numerics.exact and self.optim.schedule is Schedule.cosine:
            raise BadInput(
                "optim.schedule=cosine: a cosine differs between machines; numerics=exact takes wsd or constant"
            )
        if self.optim.halved_share and (learns != "causal" or self.tune.on or self.model.seq_len % 2):
            raise BadInput(
                f"optim.halved_share={self.optim.halved_share}: only sequences of a causal training from nothing, with "
                "an even model.seq_len, are read in halves; 0 reads them whole"
            )
        if self.tune.on and self.release.seeds > 1:
            raise BadInput("release.seeds: bounds are not drawn from tunings, as yet; leave it out")
        check_needs(self.objective, self.tokenizer, self.model.seq_len)
        micro_steps(self.optim.sequences_per_step, self.parallel.sequences_per_device)
