"""How often equal blocks are compiled, in a process whose shapes no test enforces: they cannot be compiled.

python -m tests.parallel.compiled plain|wide      prints how often after one pass, and after two
"""

import sys

import torch
from torch._dynamo.testing import CompileCounter

from train.config import compose
from train.model import build_model
from train.parallel.apply import _norms_in_float32


def main() -> None:
    """wide: with their norms as FSDP2 has them in bfloat16."""
    model = build_model(compose(["+experiment=tiny", "model.seq_len=8", "optim.sequences_per_step=4"]).model)
    model.initialise(0)
    counter = CompileCounter()
    for block in model.blocks:
        if sys.argv[1] == "wide":
            _norms_in_float32(block)
        block.compile(backend=counter, dynamic=False)
    for _ in range(2):
        model.hidden(torch.zeros(1, 8, dtype=torch.long))
        print(counter.frame_count)


if __name__ == "__main__":
    main()
