"""Falcon: attention and MLP side by side, few key heads (Almazrouei et al., 2023).

7B: one norm, rotary positions, one key head. RW: in sequence, ALiBi, biases. 40B: two norms, grouped key heads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import gelu

from train.model.gpt2 import with_prefix
from train.model.language_model import Decoder, ModelConfig
from train.model.llama import rope_from_theirs, rope_to_theirs
from train.model.parts import MLP, Attention, ParallelBlock, PreNormBlock
from train.model.positions import Alibi, RopeScaling, Rotary
from train.model.theirs import Fields, Stored, fused, linear, same
from train.records import BadInput

KINDS = ("7b", "rw", "40b")


@dataclass(kw_only=True)
class FalconConfig(ModelConfig):
    """The shape of a Falcon: `kind` is 7b, rw or 40b; `n_kv_heads` 1, `n_heads`, or some number between."""

    name: str = "falcon"
    kind: str = "7b"
    n_kv_heads: int = 1
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    dropout: float = 0.0
    attention_dropout: float = 0.0
    within_documents: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in KINDS:
            raise BadInput(f"model.kind={self.kind}: one of {', '.join(KINDS)}")
        fixed = {"7b": 1, "rw": self.n_heads}.get(self.kind, self.n_kv_heads)
        if self.n_kv_heads != fixed or self.n_kv_heads < 1 or self.n_heads % self.n_kv_heads:
            raise BadInput(f"model.n_kv_heads={self.n_kv_heads}: a Falcon of kind {self.kind} has {fixed}")
        if self.head_width() % 2 and self.kind != "rw":
            raise BadInput(f"model.d_model / model.n_heads = {self.head_width()}: rotary positions need an even number")


class Falcon(Decoder):
    """A Falcon."""

    ARCHITECTURE = "FalconForCausalLM"
    COPIES = {"lm_head.weight": "transformer.word_embeddings.weight"}  # noqa: RUF012

    def __init__(self, config: FalconConfig) -> None:
        width = config.head_width()
        alibi = config.kind == "rw"
        super().__init__(
            config,
            [_block(config) for _ in range(config.n_layers)],
            nn.LayerNorm(config.d_model, eps=config.norm_eps),
            tied=True,
            rotary=None if alibi else Rotary(width, config.rope_theta),
            alibi=Alibi(config.n_heads, scale=width**-0.5, rounded=True) if alibi else None,
            within_documents=config.within_documents,
        )

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of."""
        c, rw = self.config, self.config.kind == "rw"
        norms = {
            "7b": {"input_layernorm": "attention_norm"},
            "rw": {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"},
            "40b": {"ln_attn": "attention_norm", "ln_mlp": "mlp_norm"},
        }[c.kind]
        yield same("transformer.word_embeddings.weight", "embedding.weight")
        for i in range(c.n_layers):
            ours, theirs = f"blocks.{i}", f"transformer.h.{i}"
            for their, our in norms.items():
                yield from linear(f"{theirs}.{their}", f"{ours}.{our}", bias=True)
            for part in ("weight", "bias") if rw else ("weight",):
                names = [f"{ours}.attention.{name}.{part}" for name in "qkv"]
                heads = (c.n_heads // c.n_kv_heads, 1, 1)
                where = f"{theirs}.self_attention.query_key_value.{part}"
                yield fused(where, names, c.n_kv_heads, heads, c.head_width())
            yield from linear(f"{theirs}.self_attention.dense", f"{ours}.attention.o", bias=rw)
            yield from linear(f"{theirs}.mlp.dense_h_to_4h", f"{ours}.mlp.up", bias=rw)
            yield from linear(f"{theirs}.mlp.dense_4h_to_h", f"{ours}.mlp.down", bias=rw)
        yield from linear("transformer.ln_f", "norm", bias=True)

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Files of the bare model lack the prefix."""
        return with_prefix(tensors, "transformer.", ("lm_head.",))

    @staticmethod
    def to_theirs(config: FalconConfig) -> dict[str, Any]:
        """The fields of config.json."""
        rw, large = config.kind == "rw", config.kind == "40b"
        return {
            "vocab_size": config.vocab_size,
            "max_position_embeddings": config.seq_len,
            "hidden_size": config.d_model,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_kv_heads": config.n_kv_heads,
            "ffn_hidden_size": config.d_ff,
            "activation": "gelu",
            "alibi": rw,
            "bias": rw,
            "parallel_attn": not rw,
            "multi_query": not rw,
            "new_decoder_architecture": large,
            "layer_norm_epsilon": config.norm_eps,
            "hidden_dropout": config.dropout,
            "attention_dropout": config.attention_dropout,
            "tie_word_embeddings": True,
            **({"num_ln_in_parallel_attn": 2} if large else {}),
            **({} if rw else rope_to_theirs(config.rope_theta, RopeScaling())),
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> FalconConfig:
        """Our config from the fields of config.json."""
        theirs.one_of("activation", ["gelu"], "gelu")
        theirs.one_of("tie_word_embeddings", [True], True)
        theirs.one_of("apply_residual_connection_post_layernorm", [False], False)
        kind = _kind(theirs)
        heads, width = theirs.whole("num_attention_heads"), theirs.whole("hidden_size")
        theta, scaling = rope_from_theirs(theirs)
        if scaling.kind != "none":
            raise BadInput(f"rope_type={scaling.kind} is not supported in a Falcon")
        kv_heads = theirs.whole("num_kv_heads", heads)
        return FalconConfig(
            kind=kind,
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("max_position_embeddings", 2048),
            d_model=width,
            n_layers=theirs.whole("num_hidden_layers"),
            n_heads=heads,
            n_kv_heads={"7b": 1, "rw": heads}.get(kind, kv_heads),
            d_ff=theirs.whole("ffn_hidden_size", 4 * width),
            rope_theta=theta,
            norm_eps=theirs.number("layer_norm_epsilon", 1e-5),
            dropout=theirs.number("hidden_dropout", 0.0),
            attention_dropout=theirs.number("attention_dropout", 0.0),
        )


def _kind(theirs: Fields) -> str:
    """Which of the three shapes a config.json describes; mixtures that nobody published are refused."""
    large = theirs.yes("new_decoder_architecture", False)
    seen = {name: theirs.yes(name, default) for name, default in (("alibi", False), ("bias", False))}
    seen |= {name: theirs.yes(name, True) for name in ("parallel_attn", "multi_query")}
    if large:
        theirs.one_of("num_ln_in_parallel_attn", [2], 2)
        seen |= {"parallel_attn": True, "multi_query": True}  # they are not looked at there
    else:
        theirs.one_of("num_ln_in_parallel_attn", [1], 1)
    shapes: dict[tuple[bool, ...], str] = {
        (False, False, True, True): "7b",
        (True, True, False, False): "rw",
    }
    kind = shapes.get(tuple(seen.values()))
    if kind is None or (large and kind == "rw"):
        raise BadInput(f"a Falcon of another shape than 7B, RW and 40B: {seen}")
    return "40b" if large else kind


def _block(config: FalconConfig) -> nn.Module:
    width, rw = config.d_model, config.kind == "rw"
    attention = Attention(
        width, config.n_heads, config.n_kv_heads, config.head_width(), bias=rw, dropout=config.attention_dropout
    )
    mlp = MLP(width, config.d_ff, gelu, bias=rw)
    first, second = (nn.LayerNorm(width, eps=config.norm_eps) for _ in range(2))
    if rw:
        return PreNormBlock(first, attention, second, mlp, dropout=config.dropout)
    return ParallelBlock(first, attention, mlp, second if config.kind == "40b" else None, dropout=config.dropout)
