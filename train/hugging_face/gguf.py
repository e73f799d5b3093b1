"""GGUF, the format of llama.cpp: one file with the weights, the tokenizer, and where they come from.

The names of tensors are those of the `gguf` package. Their layout there: matrices (out, in), queries, keys and values
fused as [q | k | v] where a family fuses them, and Llama's queries and keys with the halves of each rotation side by
side instead of one behind the other.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from train.model import LanguageModel
from train.records import BadInput, read_json

_NOT_THERE = "release.gguf=true: llama.cpp has no {what}; leave release.gguf out"
_NORMAL, _CONTROL, _BYTE = 1, 3, 6  # kinds of tokens


@dataclass(kw_only=True, frozen=True)
class About:
    """What the file says of its origin. `datasets`: (name, address or package) of each source of texts."""

    name: str
    version: str
    author: str
    licence: str
    description: str
    languages: tuple[str, ...]
    source: str
    datasets: tuple[tuple[str, str], ...]


def to_gguf(model: LanguageModel, folder: Path, path: Path, about: About) -> None:
    """Write `path`: the weights of `model` in float32, the tokenizer that lies in `folder`, and `about`.

    Raises BadInput for a family that llama.cpp does not have, or if the package `gguf` is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise BadInput(
            "release.gguf=true needs the package gguf: in Fusée's folder, pip install -e '.[gguf]'"
        ) from error
    name = model.config.name
    _refuse(model)
    writer = gguf.GGUFWriter(None, name)
    _write_about(writer, about)
    _write_shape(writer, model)
    _write_tokenizer(writer, folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[name.upper()], model.config.n_layers)
    for theirs, values in tensors_of(model):
        found = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        assert found is not None, theirs
        writer.add_tensor(found, values)
    for extra, values in _more_tensors(model):
        writer.add_tensor(extra, values)
    temporary = path.with_name(f".{path.name}.tmp")
    writer.write_header_to_file(temporary)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _refuse(model: LanguageModel) -> None:
    config = model.config
    if config.name in {"bert", "xlnet"}:
        raise BadInput(_NOT_THERE.format(what=f"{config.name} that predicts words"))
    if config.name == "falcon" and config.kind == "rw":
        raise BadInput(_NOT_THERE.format(what="Falcon with ALiBi"))
    if config.name == "t5" and config.n_layers != config.n_decoder_layers:
        raise BadInput(_NOT_THERE.format(what="T5 with more layers on one side"))


def tensors_of(model: LanguageModel) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """(the name by which the `gguf` package knows it, values in GGUF's layout) of every tensor."""
    ours = model.state_dict()
    for row in model.stored():
        parts = [ours[name].detach().float().cpu() for name in row.ours]
        if model.config.name == "llama" and row.ours[0].endswith(("attention.q.weight", "attention.k.weight")):
            parts = [_side_by_side(parts[0], model.config.d_head)]
        known = row.theirs.removeprefix("transformer.") if model.config.name == "bloom" else row.theirs
        yield known, torch.cat(parts).numpy()


def _side_by_side(weight: Tensor, d_head: int) -> Tensor:
    """(heads * E, D): in each head, rows i and i + E/2 next to each other."""
    return weight.view(-1, 2, d_head // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _more_tensors(model: LanguageModel) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Llama 3's scaling: what each frequency is divided by."""
    config = model.config
    if config.name == "llama" and config.rope_scaling.kind == "llama3":
        exponent = torch.arange(0, config.d_head, 2, dtype=torch.float64) / config.d_head
        frequency = config.rope_theta**-exponent
        yield "rope_freqs.weight", (frequency / config.rope_scaling.scale(frequency)).float().numpy()


def _write_about(writer: Any, about: About) -> None:
    writer.add_type("model")
    writer.add_name(about.name)
    writer.add_version(about.version)
    writer.add_author(about.author)
    writer.add_license(about.licence)
    writer.add_description(about.description)
    writer.add_languages(list(about.languages))
    writer.add_source_url(about.source)
    writer.add_dataset_count(len(about.datasets))
    for number, (name, where) in enumerate(about.datasets):
        writer.add_dataset_name(number, name)
        writer.add_dataset_url(number, where)


def _write_shape(writer: Any, model: LanguageModel) -> None:
    c = model.config
    writer.add_file_type(0)  # all in float32
    writer.add_vocab_size(c.vocab_size)
    writer.add_context_length(c.seq_len)
    writer.add_embedding_length(c.d_model)
    writer.add_feed_forward_length(c.d_ff)
    writer.add_block_count(c.n_layers)
    writer.add_head_count(c.n_heads)
    writer.add_head_count_kv(getattr(c, "n_kv_heads", c.n_heads))
    if c.name == "llama":
        writer.add_layer_norm_rms_eps(c.norm_eps)
        if c.rope_scaling.kind == "linear":
            writer.add_rope_scaling_type(_linear())
            writer.add_rope_scaling_factor(c.rope_scaling.factor)
    else:
        writer.add_layer_norm_eps(c.norm_eps)
    if c.name in {"llama", "falcon"}:
        writer.add_rope_freq_base(c.rope_theta)
        writer.add_rope_dimension_count(c.d_head if c.name == "llama" else c.head_width())
    if c.name in {"llama", "t5"}:
        writer.add_key_length(c.d_head)
        writer.add_value_length(c.d_head)
    if c.name == "t5":
        writer.add_layer_norm_rms_eps(c.norm_eps)
        writer.add_relative_attn_buckets_count(c.n_buckets)
        writer.add_decoder_block_count(c.n_decoder_layers)


def _linear() -> Any:
    import gguf

    return gguf.RopeScalingType.LINEAR


def _write_tokenizer(writer: Any, folder: Path) -> None:
    tokenizer, about = read_json(folder / "tokenizer.json"), read_json(folder / "tokenizer_config.json")
    model = tokenizer["model"]
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    tokens, scores = _pieces(model)
    tokens |= {number: token["content"] for number, token in added.items()}
    order = range(len(tokens))
    writer.add_tokenizer_model("gpt2" if model["type"] == "BPE" else "t5")
    writer.add_tokenizer_pre("gpt-2" if model["type"] == "BPE" else "default")
    writer.add_token_list([tokens[number] for number in order])
    writer.add_token_types([_kind(number, tokens[number], added) for number in order])
    if model["type"] == "BPE":
        writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
        writer.add_add_bos_token(True)
    else:
        writer.add_token_scores([scores.get(number, 0.0) for number in order])
        writer.add_add_space_prefix(False)
        writer.add_add_eos_token(True)
    numbers = {token["content"]: number for number, token in added.items()}
    for role, write in (
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
        ("pad_token", writer.add_pad_token_id),
    ):
        if about.get(role) in numbers:
            write(numbers[about[role]])
    if "extra_special_tokens" in about:
        writer.add_decoder_start_token_id(numbers[about["pad_token"]])


def _pieces(model: Mapping[str, Any]) -> tuple[dict[int, str], dict[int, float]]:
    if model["type"] == "BPE":
        return {number: piece for piece, number in model["vocab"].items()}, {}
    if model["type"] == "Unigram":
        return (
            {number: piece for number, (piece, _) in enumerate(model["vocab"])},
            {number: score for number, (_, score) in enumerate(model["vocab"])},
        )
    raise BadInput(_NOT_THERE.format(what=f"tokenizer of type {json.dumps(model['type'])}"))


def _kind(number: int, token: str, added: Mapping[int, Any]) -> int:
    if number in added:
        return _CONTROL
    return _BYTE if len(token) == 6 and token.startswith("<0x") else _NORMAL
