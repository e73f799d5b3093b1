"""What was compiled by one process is found by the next, trace and code, as long as the arithmetic is the same."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from train.numerics import has_compiler

_ATTEND = """
import json, torch
from torch._dynamo.utils import counters
from torch._inductor.cpu_vec_isa import VecISA, valid_vec_isa_list
from train.model import attend
from train.model.dropout import Dropout
from train.parallel import apply_plan, ParallelConfig

class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = Dropout(0.0)

    def forward(self, x):
        return attend.attend(x + 1, x * 2, x * 3, None, False, 0.5, self.dropout, None)

def gradient():
    torch.compiler.reset()
    counters.clear()
    block, x = Block(), torch.arange(32.0).reshape(1, 1, 8, 4).div(32).requires_grad_()
    apply_plan([block], ParallelConfig(), compiling=True)
    block(x).square().sum().backward()
    return {"gradient": x.grad.flatten().tolist(), **counters["aot_autograd"]}

tried, tries = VecISA.check_build, []
VecISA.check_build = lambda kind, code: tries.append(str(kind)) or tried(kind, code)
as_it_is = gradient()
written_out = attend._WrittenOut.backward
attend._WrittenOut.backward = staticmethod(lambda ctx, grad: written_out(ctx, grad + grad))
print(json.dumps([as_it_is, gradient(), {"tries": tries, "kinds": [str(kind) for kind in valid_vec_isa_list()]}]))
"""


def attend(cache: Path) -> list[dict[str, Any]]:
    """What a process of its own finds with attention as it is, and with one whose backward pass alone was changed."""
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", _ATTEND], capture_output=True, text=True, check=True, env=environment)
    return list(json.loads(done.stdout))


@pytest.mark.skipif(not has_compiler(), reason="nothing is compiled here")
def test_the_next_process_finds_the_trace_and_another_gradient_is_another_trace(tmp_path: Path) -> None:
    (*first, asked), (*second, known) = attend(tmp_path), attend(tmp_path)
    assert [found["autograd_cache_miss"] for found in first] == [1, 1]
    assert [found["autograd_cache_hit"] for found in second] == [1, 1]
    assert [found["gradient"] for found in second] == [found["gradient"] for found in first]
    assert known["kinds"] == asked["kinds"]
    assert len(known["tries"]) < len(asked["tries"]) or not asked["tries"], "what the compiler can do was known"
    assert first[1]["gradient"] == pytest.approx([2 * value for value in first[0]["gradient"]], rel=1e-5)
