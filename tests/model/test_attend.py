"""Attention written out for the compiler, beside torch's own."""

import pytest
import torch
from torch import Tensor

from train.model.attend import _WrittenOut
from train.model.context import may_look_back

B, H, T, E = 2, 3, 16, 8


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Random float64 tensors that want a gradient."""
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def gradients(out: Tensor, of: list[Tensor]) -> list[Tensor]:
    """Of a sum in which every element of `out` counts differently."""
    weights = torch.arange(out.numel(), dtype=out.dtype).view(out.shape).cos()
    return list(torch.autograd.grad((out * weights).sum(), of))


@pytest.mark.parametrize("queries", [T, T - 1])  # in four blocks; at once
@pytest.mark.parametrize("seen", ["all", "earlier", "some", "biased", "earlier of some", "earlier, biased"])
def test_value_and_gradients_are_those_of_torch(seen: str, queries: int) -> None:
    q, k, v, bias = tensors((B, H, queries, E), (B, H, queries, E), (B, H, queries, E), (1, H, queries, queries))
    some = torch.rand(B, 1, 1, queries) < 0.7
    some[..., 0] = True
    earlier = may_look_back(queries, 0, q.device)
    of_some = earlier & (some | torch.eye(queries, dtype=torch.bool))
    masks = {"some": some, "biased": bias, "earlier of some": of_some}
    mask = masks.get(seen) if seen != "earlier, biased" else bias.detach().masked_fill(~earlier, -torch.inf)
    causal = "earlier" in seen
    ours = _WrittenOut.apply(q, k, v, mask, causal, 0.3)  # type: ignore[no-untyped-call]
    theirs = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, mask, is_causal=causal and mask is None, scale=0.3
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    learned = [q, k, v, bias] if seen == "biased" else [q, k, v]
    for one, other in zip(gradients(ours, learned), gradients(theirs, learned), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
