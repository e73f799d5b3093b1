"""The chunked loss is the plain one: value and both gradients, whatever the chunk."""

import pytest
import torch
from torch.nn import functional

import train.loss
from train.loss import linear_cross_entropy
from train.records import IGNORE


@pytest.mark.parametrize("rows", [1, 6, 1024])
def test_value_and_gradients_are_those_of_torch(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(train.loss, "_rows_at_once", lambda vocabulary: rows)
    torch.manual_seed(0)
    hidden = torch.randn(37, 8, requires_grad=True)
    weight = torch.randn(53, 8, requires_grad=True)
    targets = torch.randint(53, (37,))
    targets[::5] = IGNORE
    ours = linear_cross_entropy(hidden, weight, targets) / 7
    found = torch.autograd.grad(ours, (hidden, weight))
    theirs = functional.cross_entropy(hidden @ weight.T, targets, ignore_index=IGNORE, reduction="sum") / 7
    wanted = torch.autograd.grad(theirs, (hidden, weight))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(found[0], wanted[0])
    torch.testing.assert_close(found[1], wanted[1])


def test_bfloat16_products_keep_float32_masters() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(37, 8, requires_grad=True), torch.randn(53, 8, requires_grad=True)
    targets = torch.randint(53, (37,))
    loss = linear_cross_entropy(hidden, weight, targets, precision=torch.bfloat16)
    loss.backward()
    assert loss.dtype == weight.grad.dtype == hidden.grad.dtype == torch.float32
    exact = functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    assert loss.item() == pytest.approx(exact.item(), rel=2e-2)


def test_all_logits_are_never_in_memory() -> None:
    """The peak of 16,384 rows over a vocabulary of 16,384 stays far under the 1,024 MB that all logits would take."""
    import subprocess
    import sys

    script = """
import resource, torch
from train.loss import linear_cross_entropy
hidden, weight = torch.randn(16384, 16, requires_grad=True), torch.randn(16384, 16, requires_grad=True)
targets = torch.randint(16384, (16384,))
linear_cross_entropy(hidden[:64], weight, targets[:64]).backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
linear_cross_entropy(hidden, weight, targets).backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300
