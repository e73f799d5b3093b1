"""BLOOM: GPT-2's block with ALiBi for positions, and a norm behind the embedding (Le Scao et al., 2022)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from train.model.gpt2 import with_prefix
from train.model.language_model import Decoder, ModelConfig
from train.model.parts import MLP, Attention, PreNormBlock, gelu_tanh
from train.model.positions import Alibi
from train.model.theirs import Fields, Stored, fused, linear, same
from train.records import BadInput


@dataclass(kw_only=True)
class BloomConfig(ModelConfig):
    """The shape of a BLOOM; its inner width is four times its width."""

    name: str = "bloom"
    norm_eps: float = 1e-5
    dropout: float = 0.0
    attention_dropout: float = 0.0
    within_documents: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head_width()
        if self.d_ff != 4 * self.d_model:
            raise BadInput(f"model.d_ff={self.d_ff}: a BLOOM's is 4 * model.d_model = {4 * self.d_model}")


class Bloom(Decoder):
    """A BLOOM."""

    ARCHITECTURE = "BloomForCausalLM"
    COPIES = {"lm_head.weight": "transformer.word_embeddings.weight"}  # noqa: RUF012

    def __init__(self, config: BloomConfig) -> None:
        super().__init__(
            config,
            [_block(config) for _ in range(config.n_layers)],
            nn.LayerNorm(config.d_model, eps=config.norm_eps),
            tied=True,
            alibi=Alibi(config.n_heads),
            first_norm=nn.LayerNorm(config.d_model, eps=config.norm_eps),
            within_documents=config.within_documents,
        )

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of."""
        c = self.config
        yield same("transformer.word_embeddings.weight", "embedding.weight")
        yield from linear("transformer.word_embeddings_layernorm", "first_norm", bias=True)
        for i in range(c.n_layers):
            ours, theirs = f"blocks.{i}", f"transformer.h.{i}"
            yield from linear(f"{theirs}.input_layernorm", f"{ours}.attention_norm", bias=True)
            for part in ("weight", "bias"):
                names = [f"{ours}.attention.{name}.{part}" for name in "qkv"]
                where = f"{theirs}.self_attention.query_key_value.{part}"
                yield fused(where, names, c.n_heads, (1, 1, 1), c.head_width())
            yield from linear(f"{theirs}.self_attention.dense", f"{ours}.attention.o", bias=True)
            yield from linear(f"{theirs}.post_attention_layernorm", f"{ours}.mlp_norm", bias=True)
            yield from linear(f"{theirs}.mlp.dense_h_to_4h", f"{ours}.mlp.up", bias=True)
            yield from linear(f"{theirs}.mlp.dense_4h_to_h", f"{ours}.mlp.down", bias=True)
        yield from linear("transformer.ln_f", "norm", bias=True)

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Files of the bare model lack the prefix."""
        return with_prefix(tensors, "transformer.", ("lm_head.",))

    @staticmethod
    def to_theirs(config: BloomConfig) -> dict[str, Any]:
        """The fields of config.json; how long a text may be is not limited there, and `seq_length` a remark."""
        return {
            "vocab_size": config.vocab_size,
            "seq_length": config.seq_len,
            "hidden_size": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "layer_norm_epsilon": config.norm_eps,
            "hidden_dropout": config.dropout,
            "attention_dropout": config.attention_dropout,
            "apply_residual_connection_post_layernorm": False,
            "tie_word_embeddings": True,
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> BloomConfig:
        """Our config from the fields of config.json."""
        theirs.one_of("apply_residual_connection_post_layernorm", [False], False)
        theirs.one_of("tie_word_embeddings", [True], True)
        # How the products were cut up, and in which order, while it was trained; not what they are.
        theirs.aside("pretraining_tp", "slow_but_exact", "skip_bias_add", "skip_bias_add_qkv", "offset_alibi")
        theirs.aside("masked_softmax_fusion", "bias_dropout_fusion", "attention_softmax_in_fp32", "unk_token_id")
        width = theirs.whole("hidden_size", theirs.whole("n_embed", -1))
        theirs.one_of("n_inner", [4 * width], 4 * width)
        return BloomConfig(
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("seq_length", 2048),
            d_model=width,
            n_layers=theirs.whole("n_layer", theirs.whole("num_hidden_layers", -1)),
            n_heads=theirs.whole("n_head", theirs.whole("num_attention_heads", -1)),
            d_ff=4 * width,
            norm_eps=theirs.number("layer_norm_epsilon", 1e-5),
            dropout=theirs.number("hidden_dropout", 0.0),
            attention_dropout=theirs.number("attention_dropout", 0.0),
        )


def _block(config: BloomConfig) -> PreNormBlock:
    width, heads = config.d_model, config.n_heads
    return PreNormBlock(
        nn.LayerNorm(width, eps=config.norm_eps),
        Attention(width, heads, heads, config.head_width(), bias=True, dropout=config.attention_dropout),
        nn.LayerNorm(width, eps=config.norm_eps),
        MLP(width, config.d_ff, gelu_tanh, bias=True),
        dropout=config.dropout,
    )
