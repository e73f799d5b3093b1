"""Labels as sequences for the loop: one example a row, padded; and the loss of an answer's two ends in a passage.

Tags and labels are learned as the next token is: cross-entropy at the places that have one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from train.loss import Loss
from train.model import Purpose
from train.numerics import hash_rows, widen
from train.records import IGNORE, Batch
from train.tokens import ENDS, INSIDE, STARTS, ExampleStore

Ints = npt.NDArray[np.int64]

_SITE = 0x6D61726B  # "mark"


@dataclass(frozen=True)
class Marks:
    """One example a row, as long as the longest; the padding is on the `left` where the last token stands for all."""

    store: ExampleStore
    pad: int
    purpose: Purpose
    left: bool
    text_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text_tokens", int(self.store.lengths().max()))

    def __len__(self) -> int:
        return len(self.store)

    def batch(self, numbers: Ints, seed: int, step: int) -> Batch:
        """The examples of these numbers, (B,) int64; `targets`: a tag for each place, (B, T); one label, (B, 1); or
        where the answer begins and ends, (B, 2)."""
        examples = [self.store.marked(int(number)) for number in numbers]
        found, targets = rows(examples, self.text_tokens, self.pad, self.purpose, left=self.left)
        return Batch(inputs=found, targets=targets, keys=hash_rows(numbers, seed, step, _SITE), sequences=numbers)


def rows(
    examples: list[tuple[Ints, Ints]], size: int, pad: int, purpose: Purpose, *, left: bool
) -> tuple[dict[str, npt.NDArray[np.generic]], Ints]:
    """Examples, each its tokens and marks (n,), as what `Labeller.hidden` takes, (B, size), and the targets."""
    shape = (len(examples), size)
    tokens, seen, segments = np.full(shape, pad, np.int64), np.zeros(shape, bool), np.zeros(shape, np.int64)
    places = {Purpose.tag: size, Purpose.classify: 1, Purpose.extract: 2}[purpose]
    targets = np.full((len(examples), places), IGNORE, np.int64)
    for row, (read, marks) in enumerate(examples):
        start = size - len(read) if left else 0
        here = (row, slice(start, start + len(read)))
        tokens[here], seen[here] = read, True
        if purpose is Purpose.tag:
            targets[here] = np.where(marks > 0, marks - 1, IGNORE)
        elif purpose is Purpose.classify:
            targets[row, 0] = marks[0] - 1 if marks[0] else IGNORE
        else:
            segments[here] = (marks & INSIDE) > 0
            targets[row] = [start + np.flatnonzero(marks & end)[0] for end in (STARTS, ENDS)]
    inputs = {"tokens": tokens, "attention_mask": seen}
    return (inputs | {"segments": segments} if purpose is Purpose.extract else inputs), targets


class Span(Loss):
    """Cross-entropy of where an answer begins and where it ends, each among the tokens that are read.

    Devlin et al., "BERT", 2019, section 4.2.
    """

    def count(self, targets: Ints, inputs: Mapping[str, npt.NDArray[np.generic]]) -> int:
        """The ends: two of each answer."""
        return targets.size

    def forward(
        self, hidden: Float[Tensor, "B T D"], head: nn.Linear, targets: Int[Tensor, "B 2"],
        inputs: Mapping[str, Tensor], precision: torch.dtype, compiling: bool,
    ) -> Float[Tensor, ""]:  # fmt: skip
        """The sum over the ends."""
        with torch.autocast(hidden.device.type, enabled=False):
            logits = widen(functional.linear(hidden.to(precision), head.weight.to(precision)))
            assert head.bias is not None
            logits = (logits + head.bias).masked_fill(~inputs["attention_mask"][..., None], float("-inf"))
            return functional.cross_entropy(logits, targets, reduction="sum")  # (B, T, 2): of each end over T
