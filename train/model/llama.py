"""Llama 1 to 3: pre-norm blocks, RMSNorm, rotary positions, grouped heads, SwiGLU (Touvron et al., 2023)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import silu

from train.model.language_model import Decoder, ModelConfig
from train.model.parts import Attention, GatedMLP, PreNormBlock
from train.model.positions import RopeScaling, Rotary
from train.model.theirs import Fields, Stored, linear, same
from train.records import BadInput


@dataclass(kw_only=True)
class LlamaConfig(ModelConfig):
    """The shape of a Llama. `within_documents` keeps attention inside a document."""

    name: str = "llama"
    n_kv_heads: int
    d_head: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling = field(default_factory=RopeScaling)
    norm_eps: float = 1e-5
    tie_embeddings: bool = False
    within_documents: bool = False
    init_embedding: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_kv_heads < 1 or self.d_head < 1:
            raise BadInput("model.n_kv_heads and model.d_head must be at least 1")
        if self.n_heads % self.n_kv_heads:
            raise BadInput(f"model.n_heads={self.n_heads} must be a multiple of model.n_kv_heads={self.n_kv_heads}")
        if self.d_head % 2:
            raise BadInput(f"model.d_head={self.d_head}: rotary positions need an even number")


class Llama(Decoder):
    """A Llama."""

    ARCHITECTURE = "LlamaForCausalLM"
    COPIES = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(
            config,
            [_block(config) for _ in range(config.n_layers)],
            nn.RMSNorm(config.d_model, eps=config.norm_eps),
            tied=config.tie_embeddings,
            rotary=Rotary(config.d_head, config.rope_theta, config.rope_scaling),
            within_documents=config.within_documents,
        )

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of."""
        yield same("model.embed_tokens.weight", "embedding.weight")
        for i in range(self.config.n_layers):
            ours, theirs = f"blocks.{i}", f"model.layers.{i}"
            yield same(f"{theirs}.input_layernorm.weight", f"{ours}.attention_norm.weight")
            for name in "qkvo":
                yield same(f"{theirs}.self_attn.{name}_proj.weight", f"{ours}.attention.{name}.weight")
            yield same(f"{theirs}.post_attention_layernorm.weight", f"{ours}.mlp_norm.weight")
            for name in ("gate", "up", "down"):
                yield same(f"{theirs}.mlp.{name}_proj.weight", f"{ours}.mlp.{name}.weight")
        yield same("model.norm.weight", "norm.weight")
        if not self.config.tie_embeddings:
            yield from linear("lm_head", "head", bias=False)

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Old files hold the frequencies of the rotations, which are computed."""
        return {name: tensor for name, tensor in tensors.items() if not name.endswith(".rotary_emb.inv_freq")}

    @staticmethod
    def to_theirs(config: LlamaConfig) -> dict[str, Any]:
        """The fields of config.json."""
        return {
            "vocab_size": config.vocab_size,
            "hidden_size": config.d_model,
            "intermediate_size": config.d_ff,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_key_value_heads": config.n_kv_heads,
            "head_dim": config.d_head,
            "max_position_embeddings": config.seq_len,
            "rms_norm_eps": config.norm_eps,
            "tie_word_embeddings": config.tie_embeddings,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            **rope_to_theirs(config.rope_theta, config.rope_scaling),
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> LlamaConfig:
        """Our config from the fields of config.json."""
        theirs.one_of("hidden_act", ["silu"], "silu")
        theirs.one_of("attention_bias", [False], False)
        theirs.one_of("mlp_bias", [False], False)
        theirs.one_of("attention_dropout", [0], 0)
        theirs.aside("pretraining_tp")  # how products are cut up, not what they are
        heads, width = theirs.whole("num_attention_heads"), theirs.whole("hidden_size")
        theta, scaling = rope_from_theirs(theirs)
        return LlamaConfig(
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("max_position_embeddings"),
            d_model=width,
            n_layers=theirs.whole("num_hidden_layers"),
            n_heads=heads,
            n_kv_heads=theirs.whole("num_key_value_heads", heads),
            d_head=theirs.whole("head_dim", width // max(1, heads)),
            d_ff=theirs.whole("intermediate_size"),
            rope_theta=theta,
            rope_scaling=scaling,
            norm_eps=theirs.number("rms_norm_eps"),
            tie_embeddings=theirs.yes("tie_word_embeddings", False),
        )


def _block(config: LlamaConfig) -> PreNormBlock:
    return PreNormBlock(
        nn.RMSNorm(config.d_model, eps=config.norm_eps),
        Attention(config.d_model, config.n_heads, config.n_kv_heads, config.d_head, bias=False),
        nn.RMSNorm(config.d_model, eps=config.norm_eps),
        GatedMLP(config.d_model, config.d_ff, silu, bias=False),
    )


def rope_to_theirs(theta: float, scaling: RopeScaling) -> dict[str, Any]:
    """As transformers 5 reads it, and beside it as version 4 and most other tools do."""
    table: dict[str, Any] = {"rope_type": {"none": "default"}.get(scaling.kind, scaling.kind)}
    if scaling.kind != "none":
        table["factor"] = scaling.factor
    if scaling.kind == "llama3":
        table["low_freq_factor"], table["high_freq_factor"] = scaling.low_freq_factor, scaling.high_freq_factor
        table["original_max_position_embeddings"] = scaling.original_seq_len
    older = {"rope_scaling": table} if scaling.kind != "none" else {}
    return {"rope_theta": theta, "rope_parameters": table | {"rope_theta": theta}, **older}


def rope_from_theirs(theirs: Fields) -> tuple[float, RopeScaling]:
    """The base and the scaling, from either of the two places."""
    theta = theirs.number("rope_theta", 10_000.0)
    tables = [table for name in ("rope_parameters", "rope_scaling") if (table := theirs.table(name)) is not None]
    found = [_scaling(table, theta) for table in tables] or [(theta, RopeScaling())]
    if any(other != found[0] for other in found):
        raise BadInput("rope_parameters and rope_scaling say different things")
    return found[0]


def _scaling(table: Fields, theta: float) -> tuple[float, RopeScaling]:
    kinds = {"default": "none", "linear": "linear", "llama3": "llama3"}
    kind = table.one_of("rope_type", list(kinds), table.one_of("type", list(kinds), "default"))
    table.one_of("type", [kind], kind)
    theta = table.number("rope_theta", theta)
    values: dict[str, Any] = {"kind": kinds[kind]}
    if kind != "default":
        values["factor"] = table.number("factor")
    if kind == "llama3":
        values |= {name: table.number(name) for name in ("low_freq_factor", "high_freq_factor")}
        values["original_seq_len"] = table.whole("original_max_position_embeddings")
    table.finish()
    return theta, RopeScaling(**values)
