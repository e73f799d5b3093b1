"""What the user may say of how a step is spread over processes, and what is chosen where nothing is said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import prod

from train.records import MACHINE, BadInput

AXES = ("replicate", "context", "shard", "tensor")
"""From the axis whose processes speak least to one another to the one whose speak most."""

_AT_ONCE = 8  # sequences of a forward pass, where nothing is said
_BYTES = 16  # of a parameter in training: the weight, its gradient, and two of AdamW, each a float32


class ActivationCheckpointing(Enum):
    """Which activations are kept for the backward pass: all (`none`), those of the products (`selective`), or only each
    block's input (`full`)."""

    none = "none"
    selective = "selective"
    full = "full"


@dataclass(kw_only=True)
class ParallelConfig:
    """How a step is spread over the machine. Nothing here is part of the recipe.

    `sequences_per_device`: how many sequences one forward pass takes; the gradients of the others accumulate. 0: the
    most that divide them, up to 8; more are no faster here, and their activations fill the memory (LOG.md).
    `replicate` processes hold all the weights, each with sequences of its own; `shard`: sequences of its own and a part
    of every tensor (FSDP2); `tensor`: parts of every product; `context`: parts of every sequence. 0 is chosen.
    """

    activation_checkpointing: ActivationCheckpointing = field(default=ActivationCheckpointing.none, metadata=MACHINE)
    sequences_per_device: int = field(default=0, metadata=MACHINE)
    replicate: int = field(default=0, metadata=MACHINE)
    shard: int = field(default=0, metadata=MACHINE)
    tensor: int = field(default=0, metadata=MACHINE)
    context: int = field(default=0, metadata=MACHINE)

    def __post_init__(self) -> None:
        for name in (*AXES, "sequences_per_device"):
            if getattr(self, name) < 0:
                raise BadInput(f"parallel.{name}={getattr(self, name)}: must be at least 1, or 0 to have it chosen")


@dataclass(frozen=True)
class Plan:
    """How many processes lie along each axis, and why."""

    sizes: Mapping[str, int]
    why: str

    def __str__(self) -> str:
        used = " x ".join(f"{axis} {size}" for axis, size in self.sizes.items() if size > 1)
        return f"{used or 'one device'} ({self.why})"


def choose_plan(config: ParallelConfig, count: int, *, parameters: int, memory: float, sequences_per_step: int) -> Plan:
    """The plan for `count` processes, each with a device of `memory` bytes, and a model of so many parameters.

    What is said is taken. Else: weights, gradients and the optimizer's state should take half of a device at most, and
    are sharded over as few processes as that needs; all other processes are replicas. Where there are more processes
    than sequences in a step, those too many go along `tensor`. Raises BadInput if the axes do not multiply to `count`.
    """
    said = {axis: getattr(config, axis) for axis in AXES if getattr(config, axis)}
    if count % prod(said.values()) or (len(said) == len(AXES) and prod(said.values()) != count):
        words = " ".join(f"parallel.{axis}={size}" for axis, size in said.items())
        raise BadInput(f"{words}: these multiply to {prod(said.values())}, and there are {count} processes")
    left, reasons = count // prod(said.values()), ["as asked"] if said else []
    chosen = dict.fromkeys(AXES, 1) | said
    if "tensor" not in said and left > 1:
        data = said.get("replicate", 1) * said.get("shard", 1) * left
        chosen["tensor"] = _least(left, lambda size: sequences_per_step % (data // size) == 0)
        if chosen["tensor"] > 1:
            reasons.append(f"{sequences_per_step} sequences a step are not enough for {data} processes")
            left //= chosen["tensor"]
    need = _BYTES * parameters / chosen["tensor"]
    if "shard" not in said and left > 1 and "replicate" not in said:
        chosen["shard"] = _least(left, lambda size: need / size <= memory / 2)
        left //= chosen["shard"]
        each = need / chosen["shard"]
        fits = "which fits" if each <= memory / 2 else "too much, and cannot be less"
        reasons.append(f"{each / 1e9:.1f} GB of weights and optimizer for a device of {memory / 1e9:.0f} GB: {fits}")
    rest = next((axis for axis in ("replicate", "shard", "tensor", "context") if axis not in said), "replicate")
    chosen[rest] *= left
    shares = chosen["replicate"] * chosen["shard"]
    if sequences_per_step % shares:
        raise BadInput(
            f"optim.sequences_per_step={sequences_per_step} must be a multiple of the {shares} processes that share "
            "the sequences out (parallel.replicate x parallel.shard)"
        )
    micro_steps(sequences_per_step // shares, config.sequences_per_device)
    return Plan(chosen, "; ".join(reasons) or "there is one process")


def _least(count: int, enough: Callable[[int], bool]) -> int:
    """The least divisor of `count` that is enough; `count` itself if none is."""
    return next((size for size in range(1, count + 1) if count % size == 0 and enough(size)), count)


def micro_steps(sequences_per_step: int, sequences_per_device: int) -> int:
    """How many forward passes make one process's part of a step. Raises BadInput if they do not divide it."""
    if not sequences_per_device:
        return next(sequences_per_step // size for size in range(_AT_ONCE, 0, -1) if sequences_per_step % size == 0)
    per_pass = min(sequences_per_step, sequences_per_device)
    if sequences_per_step % per_pass:
        raise BadInput(
            f"parallel.sequences_per_device={sequences_per_device} does not divide the {sequences_per_step} sequences "
            "that one process has of a step (optim.sequences_per_step)"
        )
    return sequences_per_step // per_pass
