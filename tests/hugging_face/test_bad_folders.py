"""Folders from outside: what is missing, too much, of another shape, or would be silently ignored is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.hugging_face.variants import VARIANTS, make
from train.hugging_face import from_hugging_face, to_hugging_face
from train.numerics import digest_tensors
from train.records import BadInput


def write(folder: Path, variant: str) -> None:
    to_hugging_face(make(variant), folder)


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


FIELDS = [
    ("llama-2", {"model_type": "mamba"}, "known are gpt2, llama, falcon, bloom, bert, t5, xlnet"),
    ("llama-2", {"model_type": ["llama"]}, "known are"),
    ("llama-2", {"sliding_window": 12}, "sliding_window: not known here"),
    ("llama-2", {"quantization_config": {"bits": 4}}, "quantization_config"),
    ("llama-2", {"hidden_act": "relu"}, "hidden_act='relu' is not supported here, only 'silu'"),
    ("llama-2", {"attention_bias": True}, "attention_bias=True"),
    ("llama-2", {"hidden_size": "24"}, "hidden_size='24': must be a whole number"),
    ("llama-2", {"hidden_size": None}, "hidden_size: missing"),
    ("llama-2", {"rms_norm_eps": True}, "rms_norm_eps=True: must be a number"),
    ("llama-2", {"num_hidden_layers": 10**7}, "more layers than there are tensors"),
    ("llama-2", {"vocab_size": 10**7}, "has shape"),
    ("llama-2", {"rope_parameters": {"rope_type": "yarn", "factor": 2}}, "rope_type='yarn'"),
    ("llama-2", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "beta_fast": 3}}, "beta_fast"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ("gpt2", {"embd_pdrop": 0.3}, "embd_pdrop=0.3"),
    ("bloom", {"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_post_layernorm"),
    ("falcon-7b", {"alibi": True}, "a Falcon of another shape"),
    ("falcon-40b", {"num_ln_in_parallel_attn": 1}, "num_ln_in_parallel_attn=1"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ("bert", {"is_decoder": True}, "is_decoder"),
    ("t5", {"feed_forward_proj": "gated-silu"}, "feed_forward_proj"),
    ("xlnet", {"attn_type": "uni"}, "attn_type='uni'"),
    ("xlnet", {"bi_data": True}, "bi_data"),
]


@pytest.mark.parametrize(("variant", "changes", "said"), FIELDS)
def test_fields_are_named(tmp_path: Path, variant: str, changes: dict[str, Any], said: str) -> None:
    write(tmp_path, variant)
    edit_config(tmp_path, **changes)
    with pytest.raises(BadInput) as caught:
        from_hugging_face(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variant", VARIANTS)
def test_tensors_are_named(tmp_path: Path, variant: str) -> None:
    write(tmp_path, variant)
    name = sorted(load_file(tmp_path / "model.safetensors"))[3]
    edit_tensors(tmp_path, lambda tensors: tensors.update({"evil\x1b[2J": tensors.pop(name)}))
    with pytest.raises(BadInput) as caught:
        from_hugging_face(tmp_path)
    assert "missing tensors" in str(caught.value)
    assert "evil" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    write(tmp_path, variant)
    edit_tensors(tmp_path, lambda tensors: tensors.update({name: tensors[name][:-1].clone()}))
    with pytest.raises(BadInput, match="has shape"):
        from_hugging_face(tmp_path)


def test_a_tied_head_may_be_stored_twice_but_not_differ(tmp_path: Path) -> None:
    write(tmp_path, "gpt2")
    edit_tensors(
        tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["transformer.wte.weight"].clone()})
    )
    whole = from_hugging_face(tmp_path)
    assert digest_tensors(dict(whole.named_parameters())) == digest_tensors(dict(make("gpt2").named_parameters()))
    edit_tensors(tmp_path, lambda tensors: tensors["lm_head.weight"].mul_(2))
    with pytest.raises(BadInput, match="tied"):
        from_hugging_face(tmp_path)


def test_files_as_they_were_first_published(tmp_path: Path) -> None:
    """GPT-2 without its prefix and with its masks; BERT with gamma, beta, a pooler and a next-sentence head."""

    def older_gpt2(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 40, 40)

    def older_bert(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[older] = tensors.pop(name)
        tensors |= {"bert.pooler.dense.weight": torch.ones(2, 2), "cls.seq_relationship.bias": torch.ones(2)}

    for variant, change in (("gpt2", older_gpt2), ("bert", older_bert)):
        write(tmp_path, variant)
        edit_tensors(tmp_path, change)
        found, made = from_hugging_face(tmp_path), make(variant)
        assert digest_tensors(dict(found.named_parameters())) == digest_tensors(dict(made.named_parameters()))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    write(tmp_path, "gpt2")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(BadInput, match=r"there is no model\.safetensors"):
        from_hugging_face(tmp_path)


def test_an_index_that_speaks_of_other_shards_is_named(tmp_path: Path) -> None:
    write(tmp_path, "llama-2")
    tensors = load_file(tmp_path / "model.safetensors")
    names = sorted(tensors)
    parts = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, tmp_path / file)
    (tmp_path / "model.safetensors").unlink()
    places = {name: file for file, part in parts.items() for name in part}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    from_hugging_face(tmp_path)
    index.write_text(json.dumps({"weight_map": places | {names[0]: "b.safetensors"}}))
    with pytest.raises(BadInput, match="holds other tensors than"):
        from_hugging_face(tmp_path)
