"""What a step leaves to be read: its loss and gradient norm, on their way from the device to the host."""

import math

import numpy as np
import torch
from torch import Tensor

from train.records import BadInput


class Taken:
    """A step that the device was asked for; nobody has waited for it yet.

    `sequences`: the batch's, int64; `values`: loss and gradient norm, shape (2,); `rate`: the learning-rate factor.
    """

    def __init__(self, step: int, sequences: np.ndarray, values: Tensor, rate: float) -> None:
        self.rate, self._step, self._sequences = rate, step, sequences
        self._values = values.to("cpu", non_blocking=True)
        self._arrival = torch.cuda.Event() if values.is_cuda else None  # type: ignore[no-untyped-call]
        if self._arrival:
            self._arrival.record()

    def read(self) -> tuple[float, float]:
        """Loss and gradient norm, once the device has taken the step; the next one is not waited for.

        Raises BadInput with the step and its sequences if one of them is not finite.
        """
        if self._arrival:
            self._arrival.synchronize()
        loss, norm = self._values.tolist()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise BadInput(
                f"the loss is {loss} and its gradient's norm {norm} at step {self._step} (sequences "
                f"{self._sequences.tolist()}); nothing was saved since the last checkpoint. Try run.precision=float32, "
                "or another run.name with a lower optim.lr and optim.adamw_lr"
            )
        return loss, norm
