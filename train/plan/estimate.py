"""What a run will take, from its config alone: parameters, tokens, operations, memory by part. Nothing is trained.

Operations are counted product by product (run/flops.py); beside them 6ND, the rule of thumb of Kaplan et al. (2020).
Memory is counted on shapes: weights, gradients and the optimizer's state exactly; activations as what the backward pass
keeps in float32 when nothing is fused, so that compiled runs stay below.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from train.batches import ObjectiveConfig, Sequences, build_objective
from train.model import LanguageModel, ModelConfig, build_model
from train.numerics import uniform_integers
from train.optim import OptimConfig, make_optimizers
from train.parallel import ParallelConfig, share_of_weights
from train.run import count_flops
from train.tokens import Vocabulary

_FLOAT = 4  # bytes of a float32
_PROGRAM = 0.8e9  # bytes of Python, torch, its compiler and the earlier stages: what was left of the seven `tiny` runs
_ROLES = ("end", "pad", "mask", "cls", "sep")


@dataclass(frozen=True)
class Needs:
    """The parts of a config that decide what a run takes."""

    model: ModelConfig
    objective: ObjectiveConfig
    optim: OptimConfig
    parallel: ParallelConfig
    sentinels: int

    def sequences(self) -> Sequences:
        """Sequences of invented tokens, as many as one likes."""
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


@dataclass(frozen=True)
class Estimate:
    """`flops`: of the whole run; `six_nd`: the rule of thumb; `memory`: bytes by part; `copied`: bytes of the host's
    memory while a checkpoint is written, for each process that writes."""

    parameters: int
    tokens: int
    flops: float
    six_nd: float
    memory: dict[str, int]
    copied: int

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return vars(self) | {"memory_total": sum(self.memory.values())}


def estimate(needs: Needs) -> Estimate:
    """What a run of this config will take."""
    with torch.device("meta"):
        model = build_model(needs.model)
    sequences, steps, per_step = needs.sequences(), needs.optim.steps, needs.optim.sequences_per_step
    count = sum(p.numel() for p in model.parameters())
    flops = steps * per_step * count_flops(model, sequences.batch(np.zeros(1, np.int64), 0, 0))
    tokens = steps * per_step * sequences.text_tokens
    memory = _memory(needs, model, sequences)
    copied = memory["weights"] + memory["optimizer"]
    return Estimate(count, tokens, float(flops), 6.0 * count * tokens, memory, copied)


def _memory(needs: Needs, model: LanguageModel, sequences: Sequences) -> dict[str, int]:
    """What one device holds, its share on axes that are set. The tensor axis leaves activations as they are."""
    share = share_of_weights(model, needs.parallel)
    weights = int(share * _FLOAT * sum(p.numel() for p in model.parameters()))
    one = min(needs.parallel.sequences_per_device, needs.optim.sequences_per_step)
    return {
        "the program": int(_PROGRAM),
        "weights": weights,
        "gradients": weights,
        "optimizer": int(share * _FLOAT * _state(needs.optim, model)),
        "activations": one * _kept(model, sequences) // max(1, needs.parallel.context),
    }


def _state(optim: OptimConfig, model: LanguageModel) -> int:
    """Numbers that the optimizers remember: one of each matrix (Muon), two of all else (AdamW)."""
    kinds = {"muon": 1, "adamw": 2}
    return sum(
        kinds[name] * parameter.numel()
        for name, optimizer in make_optimizers(optim, model, torch.float32).items()
        for group in optimizer.param_groups
        for parameter in group["params"]
    )


def _kept(model: LanguageModel, sequences: Sequences) -> int:
    """Bytes that the backward pass of one sequence keeps."""
    batch = sequences.batch(np.zeros(1, np.int64), 0, 0)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    inputs = {name: torch.from_numpy(array.copy()).to("meta") for name, array in batch.inputs.items()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = model.hidden(**inputs)
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    return sum(size for key, size in kept.items() if key not in own) + out.numel() * _FLOAT
