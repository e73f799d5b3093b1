"""Dropout: as often as it says, the same for a key, another at every place; off without a key."""

import pytest
import torch

from tests.hugging_face.variants import VARIANTS, make
from train.model import build_model, has_dropout
from train.model.dropout import Dropout, number_dropouts


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_a_share_is_dropped_and_the_mean_kept(p: float) -> None:
    part, x = Dropout(p), torch.ones(64, 100, 33)
    y = part(x, torch.arange(64))
    kept = (y != 0).float()
    assert kept.mean() == pytest.approx(1 - round(p * 256) / 256, abs=0.005)
    assert y.mean() == pytest.approx(1.0, abs=0.01)
    assert torch.corrcoef(kept.flatten(1)).fill_diagonal_(0).abs().max() < 0.1  # rows do not resemble one another
    assert kept.mean((0, 1)).std() < 0.02


def test_masks_are_a_function_of_key_and_place() -> None:
    two = torch.nn.ModuleList([Dropout(0.5), Dropout(0.5)])
    number_dropouts(two)
    x, keys = torch.ones(4, 1000), torch.tensor([7, -3, 2**62, 7])
    first, second = two[0](x, keys), two[1](x, keys)
    assert torch.equal(first, two[0](x, keys))
    assert torch.equal(first[2:], two[0](x[2:], keys[2:]))  # whichever rank has the sequence
    assert torch.equal(first[0], first[3])
    assert not torch.equal(first[0], first[1])
    assert ((first != 0) == (second != 0)).float().mean() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(two[0](x, None), x)


@pytest.mark.parametrize("variant", ["gpt2", "bert", "t5-1.1", "xlnet"])
def test_every_family_with_dropout_drops_in_training_alone(variant: str) -> None:
    model = make(variant)
    assert has_dropout(model)
    tokens = torch.randint(100, (2, 9))
    inputs = {"tokens": tokens} | ({"decoder_tokens": tokens} if "t5" in variant else {})
    if variant == "xlnet":
        inputs |= {"sees": torch.ones(2, 9, 9).tril(-1).bool(), "predict": torch.arange(1, 9).expand(2, -1)}
    keys = torch.tensor([5, 6])
    plain, dropped = model(**inputs), model(**inputs, noise=keys)
    assert not torch.allclose(plain, dropped)
    assert torch.equal(dropped, model(**inputs, noise=keys))
    assert not torch.allclose(dropped, model(**inputs, noise=keys + 1))
    dropped.sum().backward()


def test_sites_differ_and_are_not_saved() -> None:
    model = build_model(make("gpt2").config)
    sites = [int(part.site) for part in model.modules() if isinstance(part, Dropout)]
    assert len(set(sites)) == len(sites) > 5
    assert not any("site" in name for name in model.state_dict())
    assert not has_dropout(make("llama-2"))
    assert {name for name in VARIANTS if has_dropout(make(name))} == {
        "gpt2",
        "bert",
        "t5",
        "t5-1.1",
        "xlnet",
        "xlnet-clamped",
    }
