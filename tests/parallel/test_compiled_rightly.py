"""What the compiler makes is what was written, on the processor at hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from train.numerics import has_compiler

_TURN = """
import torch
from train.parallel import apply_plan, ParallelConfig

class Keys(torch.nn.Module):  # an XLNet's: those of the tokens, and those of the distances
    def forward(self, x, r):
        turned = x.view(8, 256, 4, 64).transpose(1, 2).mT, r.view(512, 4, 64).transpose(0, 1).mT.expand(8, -1, -1, -1)
        return [keys.clone(memory_format=torch.contiguous_format) for keys in turned]

keys, x, r = Keys(), torch.randn(8, 256, 256).bfloat16(), torch.randn(512, 256).bfloat16()
written = keys(x, r)
apply_plan([keys], ParallelConfig(), compiling=True)
print("differ", *(int((a != b).sum()) for a, b in zip(keys(x, r), written)))
"""


@pytest.mark.skipif(not has_compiler(), reason="nothing is compiled here")
def test_keys_in_bfloat16_are_turned_rightly(tmp_path: Path) -> None:
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _TURN], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["differ", "0", "0"]
