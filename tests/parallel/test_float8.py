"""Products in float8, by torchao's emulation: the numbers, what is converted, and what stays as it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.parallel.cases import job_for, take
from train.model import LanguageModel
from train.numerics import Choices
from train.parallel import ParallelConfig, Plan, Replicas, at_rest, spread_model
from train.parallel.float8 import to_float8
from train.records import BadInput
from train.run import prepare

FLOAT8 = Choices(precision="float8", compile=False, threads=1, device="cpu")


def rounded(x: Tensor, largest: float, bits: int, least: int) -> Tensor:
    """To float8 and back, by hand: scaled to its largest number; so many bits are kept, of powers from `least` on."""
    scale = largest / x.abs().max()
    scaled = x * scale
    power = scaled.abs().clamp_min(2.0**least).log2().floor()
    step = 2.0 ** (power - bits)
    return (scaled / step).round() * step / scale


def e4m3(x: Tensor) -> Tensor:
    return rounded(x, 448.0, 3, -6)


def e5m2(x: Tensor) -> Tensor:
    return rounded(x, 57344.0, 2, -14)


def test_a_product_and_its_gradients_are_those_made_by_hand() -> None:
    torch.manual_seed(0)
    plain, x, gradient = nn.Linear(64, 32), torch.randn(3, 7, 64), torch.randn(3, 7, 32)
    layers = nn.ModuleList([plain])
    to_float8([layers], emulate=True)
    x.requires_grad_()
    found = layers[0](x)
    found.backward(gradient)
    wanted = e4m3(x) @ e4m3(plain.weight).T + plain.bias
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    flat = e5m2(gradient).flatten(0, 1)
    torch.testing.assert_close(x.grad.flatten(0, 1), flat @ e4m3(plain.weight), rtol=0, atol=1e-4)
    torch.testing.assert_close(plain.weight.grad, flat.T @ e4m3(x).flatten(0, 1), rtol=0, atol=1e-4)
    assert (found - plain(x)).abs().max() > 1e-2  # and it is another


def made(folder: Path, precision: str, *words: str, family: str = "llama") -> LanguageModel:
    """A model on its device, with its initial weights."""
    job = job_for({"family": family, "precision": precision, "words": words, "folder": folder}, Replicas())
    return prepare(job).model


def converted(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if type(module).__name__ == "Float8Linear"}


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_blocks_are_converted_and_nothing_else_changes(family: str, tmp_path: Path) -> None:
    model, plain = (made(tmp_path, precision, family=family) for precision in ("float8", "bfloat16"))
    linear = {name for name, module in plain.named_modules() if type(module) is nn.Linear}
    assert converted(model) == {name for name in linear if "blocks." in name}
    assert linear - converted(model) >= {"head"}
    ours, theirs = model.state_dict(), plain.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], tensor) and ours[name].dtype == tensor.dtype for name, tensor in theirs.items())


def test_widths_that_float8_cannot_take_are_left(tmp_path: Path) -> None:
    assert all("attention" in name for name in converted(made(tmp_path, "float8", "model.d_ff=200")))
    with pytest.raises(BadInput, match=r"no plain linear map .* multiples of 16; take run\.precision=bfloat16"):
        made(tmp_path, "float8", "model.d_model=40", "model.d_head=10", "model.d_ff=56")


def test_it_does_not_go_along_tensor(tmp_path: Path) -> None:
    model = job_for({"folder": tmp_path}, Replicas()).model
    sizes = {"replicate": 1, "context": 1, "shard": 1, "tensor": 2}
    mesh: Any = SimpleNamespace(plan=Plan(sizes, ""), sizes=sizes)
    with pytest.raises(BadInput, match=r"does not go along parallel\.tensor"):
        spread_model(model, ParallelConfig(), mesh, FLOAT8)


def test_at_rest_the_model_is_in_float32(tmp_path: Path) -> None:
    model, plain = (made(tmp_path, precision) for precision in ("float8", "float32"))
    for each in (model, plain):
        for number, parameter in enumerate(each.parameters()):
            nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(number))
    tokens, before = torch.arange(32)[None], converted(model)
    with torch.no_grad():
        with at_rest(model, FLOAT8):
            assert torch.equal(model(tokens), plain(tokens))
        assert not torch.equal(model(tokens), plain(tokens))
    assert converted(model) == before != set()


@pytest.mark.parametrize("kind", ["selective", "full"])
def test_checkpointed_activations_change_no_loss(kind: str, tmp_path: Path) -> None:
    cases = [
        {"precision": "float8", "folder": tmp_path, "words": [f"parallel.activation_checkpointing={how}"]}
        for how in ("none", kind)
    ]
    plain, again = (take(case) for case in cases)
    assert again == plain
