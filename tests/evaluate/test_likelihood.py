"""Likelihoods of an end after its beginning: parts add up to the whole, in every family that reads left to right."""

import math

import numpy as np
import pytest
import torch

from train.evaluate import EvaluateConfig, Text, evaluate_texts
from train.evaluate.bias import expected_groups
from train.evaluate.likelihood import left_to_right, log_likelihoods
from train.model import BertConfig, GPT2Config, T5Config, XLNetConfig, build_model
from train.records import BadInput

SMALL = {"vocab_size": 40, "seq_len": 16, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 24}


def random_model(config):
    model = build_model(config)
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    return model.train()


@pytest.mark.parametrize("config", [GPT2Config(**SMALL), XLNetConfig(**SMALL)], ids=["gpt2", "xlnet"])
def test_the_chain_rule(config) -> None:
    """log p(b, c | a) = log p(b | a) + log p(c | a, b); and all of a text is what bits per byte sums."""
    model = random_model(config)
    tokens = np.random.default_rng(3).integers(0, 40, 17)
    parts = [(tokens[:1], tokens[1:]), (tokens[:1], tokens[1:9]), (tokens[:9], tokens[9:]), (tokens[:5], tokens[5:6])]
    found = [log_p for log_p, _ in log_likelihoods(model, parts, 3)]
    assert found[0] == pytest.approx(found[1] + found[2], rel=1e-5)
    measured = evaluate_texts(model, left_to_right(model), [Text("a", (), 1, tokens)], EvaluateConfig()).report
    assert found[0] == pytest.approx(-measured["total"] * math.log(2), rel=1e-5)
    assert model.training
    for size in (1, 64):
        assert [log_p for log_p, _ in log_likelihoods(model, parts, size)] == pytest.approx(found, rel=1e-5)


def test_what_the_model_would_say_is_known_as_that() -> None:
    model = random_model(GPT2Config(**SMALL)).eval()
    said = torch.tensor([[1, 2, 3]])
    for _ in range(4):
        said = torch.cat([said, model(said)[:, -1:].argmax(-1)], 1)
    tokens = said[0].numpy()
    other = tokens.copy()
    other[-1] = (other[-1] + 1) % 40
    assert [own for _, own in log_likelihoods(model, [(tokens[:3], tokens[3:]), (other[:3], other[3:])], 8)] == [
        True,
        False,
    ]


def test_what_does_not_fit_or_does_not_read_so() -> None:
    model = random_model(GPT2Config(**SMALL))
    long = np.zeros(17, np.int64)
    with pytest.raises(BadInput, match="a window holds 16"):
        log_likelihoods(model, [(long[:1], long)], 4)
    for config in (BertConfig(**SMALL), T5Config(**SMALL, n_decoder_layers=2, d_head=8)):
        with pytest.raises(BadInput, match="left to right"):
            log_likelihoods(build_model(config), [(long[:1], long[:3])], 4)
    assert expected_groups(build_model(config), None, None, ["en"], 4) is None  # a T5: no likelihood of a sentence
