"""Parity with transformers, logits and gradients, in both directions; and the table of initial weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from transformers import LlamaConfig as TheirConfig

from train.hugging_face import from_hugging_face, to_hugging_face
from train.loss import linear_cross_entropy
from train.model import LlamaConfig, build_model
from train.records import BadInput, Batch
from train.run.flops import count_flops

SHAPES = {
    "plain": {"n_heads": 4, "n_kv_heads": 4, "d_head": 8},
    "grouped": {"n_heads": 6, "n_kv_heads": 2, "d_head": 8},
    "one key head": {"n_heads": 3, "n_kv_heads": 1, "d_head": 6},
    "tied": {"n_heads": 4, "n_kv_heads": 4, "d_head": 8, "tie_embeddings": True},
    "another theta": {"n_heads": 4, "n_kv_heads": 4, "d_head": 8, "rope_theta": 500_000.0},
}


def make(shape: dict, vocab_size: int = 101) -> torch.nn.Module:
    config = LlamaConfig(vocab_size=vocab_size, seq_len=40, d_model=24, n_layers=3, d_ff=37, **shape)
    model = build_model(config)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.ndim > 1 else 0.2) + (parameter.ndim == 1))
    return model


def agree(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(("batch", "length"), [(3, 17), (1, 1), (2, 40)])
def test_logits_and_a_gradient_are_theirs(tmp_path: Path, shape: dict, batch: int, length: int) -> None:
    ours = make(shape)
    to_hugging_face(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = torch.randint(101, (batch, length))
    agree(ours(tokens), theirs(tokens).logits)
    ours(tokens).square().mean().backward()
    theirs(tokens).logits.square().mean().backward()
    agree(ours.blocks[1].attention.k.weight.grad, theirs.model.layers[1].self_attn.k_proj.weight.grad)
    agree(ours.embedding.weight.grad, theirs.model.embed_tokens.weight.grad)


@pytest.mark.parametrize("sharded", [False, True])
def test_their_folder_is_our_model(tmp_path: Path, sharded: bool) -> None:
    config = TheirConfig(
        vocab_size=97, hidden_size=32, intermediate_size=50, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=5000.0,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config)
    theirs.save_pretrained(tmp_path, max_shard_size="20KB" if sharded else "1GB")
    assert (tmp_path / "model.safetensors.index.json").is_file() == sharded
    tokens = torch.randint(97, (2, 33))
    agree(from_hugging_face(tmp_path)(tokens), theirs(tokens).logits)


def test_a_round_trip_is_equal_to_the_bit(tmp_path: Path) -> None:
    ours = make(SHAPES["grouped"])
    to_hugging_face(ours, tmp_path)
    back = from_hugging_face(tmp_path)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, back.state_dict()[name]), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "mamba"}, "mamba"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_type='yarn'"),
        ({"num_hidden_layers": 2}, "unknown tensors"),
        ({"num_hidden_layers": 4}, "missing tensors"),
        ({"intermediate_size": 38}, "shape"),
        ({"hidden_size": None}, "hidden_size: missing"),
    ],
)
def test_what_we_do_not_compute_is_an_error(tmp_path: Path, change: dict, said: str) -> None:
    import json

    to_hugging_face(make(SHAPES["plain"]), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(BadInput, match=said):
        from_hugging_face(tmp_path)


def test_the_initial_loss_is_that_of_a_uniform_guess() -> None:
    model = make(SHAPES["plain"])
    model.initialise(seed=0)
    tokens = torch.randint(101, (2, 20))
    loss = linear_cross_entropy(model.hidden(tokens).flatten(0, 1), model.head.weight, tokens.flatten()) / 40
    assert loss.item() == pytest.approx(torch.tensor(101.0).log().item(), abs=1e-5)
    std = model.blocks[0].attention.q.weight.std().item()
    assert std == pytest.approx(0.5 / 24**0.5, rel=0.1)
    again = make(SHAPES["plain"])
    again.initialise(seed=0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    again.initialise(seed=1)
    assert not torch.equal(model.embedding.weight, again.embedding.weight)


def test_attention_within_documents_sees_no_other() -> None:
    model = make(SHAPES["grouped"] | {"within_documents": True})
    first, second = torch.randint(101, (1, 9)), torch.randint(101, (1, 11))
    packed = torch.cat([first, second], 1)
    documents = torch.tensor([[0] * 9 + [1] * 11])
    agree(model.hidden(packed, documents)[:, :9], model.hidden(first))
    whole = model.hidden(packed, documents)
    other = torch.cat([torch.randint(101, (1, 9)), second], 1)
    agree(model.hidden(other, documents)[:, 9:], whole[:, 9:])
    assert not torch.allclose(model.hidden(other)[:, 9:], model.hidden(packed)[:, 9:])


def test_flops_are_counted_by_hand() -> None:
    config = LlamaConfig(vocab_size=11, seq_len=3, d_model=4, n_layers=2, n_heads=2, n_kv_heads=1, d_head=2, d_ff=5)
    matrices = 2 * (4 * 4 + 4 * 2 + 4 * 2 + 4 * 4 + 3 * 4 * 5) + 4 * 11
    scores_and_values = 2 * 12 * 2 * 2 * 3  # layers, products, heads, head width, keys
    tokens = np.zeros((2, 3), np.int64)
    batch = Batch(inputs={"tokens": tokens}, targets=tokens, keys=np.zeros(2, np.uint64), sequences=np.arange(2))
    assert count_flops(build_model(config), batch) == 2 * 3 * (6 * matrices + scores_and_values)
