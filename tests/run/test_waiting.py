"""The steady step reads nothing of its own from the device: a reading makes the host wait until all is done."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.parallel.cases import job_for
from train.batches import load_batches
from train.parallel import Replicas
from train.run import prepare

_READS = {"item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "nonzero"}


class Asked(TorchFunctionMode):
    """What Python asks of tensors that only their values can answer, by who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.by: Counter[str] = Counter()

    def __torch_function__(self, act: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(act, "__name__", "")
        if name in _READS:
            frame = sys._getframe(1)
            self.by[f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"] += 1
        return act(*args, **(kwargs or {}))


class Read(TorchDispatchMode):
    """Values that torch's own code hands to the host."""

    count = 0

    def __torch_dispatch__(self, act: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += act is torch.ops.aten._local_scalar_dense.default
        return act(*args, **(kwargs or {}))


def reads(family: str, folder: Path, *words: str) -> tuple[list[Counter[str]], int]:
    """Of three steps: who reads; of the third: how many values torch hands over."""
    job = job_for({"family": family, "folder": str(folder), "words": list(words)}, Replicas())
    take_step, who = prepare(job), []
    for step, batch in enumerate(
        load_batches(job.sequences, seed=0, sequences_per_step=4, first_step=0, steps=3), start=1
    ):
        with Asked() as asked, Read() as read:
            take_step(step, batch)
        who.append(asked.by)
    return who, read.count


# On a processor clipping looks whether there is anything to clip: it costs nothing there, and is not done on a GPU.
_ON_THE_HOST = {"mesh.clip_gradients"}


CASES = [
    ("llama", "parallel.sequences_per_device=1"),
    ("llama", "parallel.activation_checkpointing=full"),
    ("t5", "optim.clip_norm=0.001"),
    ("xlnet", "parallel.sequences_per_device=4"),
]


@pytest.mark.parametrize(("family", "word"), CASES)
def test_a_step_waits_for_the_one_before_alone(tmp_path: Path, family: str, word: str) -> None:
    who, count = reads(family, tmp_path, word)
    ours = [{name: number for name, number in by.items() if name not in _ON_THE_HOST} for by in who]
    assert ours == [{}, {"taken.read": 1}, {"taken.read": 1}]  # what the first leaves is read in the second
    assert count <= sum(who[2].values())
