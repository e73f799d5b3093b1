"""GPT-2: learned positions, pre-norm blocks with LayerNorm and biases, GELU, head tied (Radford et al., 2019)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from train.model.language_model import Decoder, ModelConfig
from train.model.parts import MLP, Attention, PreNormBlock, gelu_tanh
from train.model.theirs import Fields, Stored, fused, linear, same, turned


@dataclass(kw_only=True)
class GPT2Config(ModelConfig):
    """The shape of a GPT-2; `dropout` of embeddings and residuals, `attention_dropout` of attention's weights."""

    name: str = "gpt2"
    norm_eps: float = 1e-5
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head_width()


class GPT2(Decoder):
    """A GPT-2."""

    ARCHITECTURE = "GPT2LMHeadModel"
    COPIES = {"lm_head.weight": "transformer.wte.weight"}  # noqa: RUF012

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(
            config,
            [_block(config) for _ in range(config.n_layers)],
            nn.LayerNorm(config.d_model, eps=config.norm_eps),
            tied=True,
            position_embedding=nn.Embedding(config.seq_len, config.d_model),
            dropout=config.dropout,
        )

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of. Their `Conv1D` keeps matrices as (in, out)."""
        c = self.config
        yield same("transformer.wte.weight", "embedding.weight")
        yield same("transformer.wpe.weight", "position_embedding.weight")
        for i in range(c.n_layers):
            ours, theirs = f"blocks.{i}", f"transformer.h.{i}"
            yield from linear(f"{theirs}.ln_1", f"{ours}.attention_norm", bias=True)
            for part in ("weight", "bias"):
                names = [f"{ours}.attention.{name}.{part}" for name in "qkv"]
                yield fused(f"{theirs}.attn.c_attn.{part}", names, 1, (c.n_heads,) * 3, c.head_width(), turned=True)
            for their, our in (("attn.c_proj", "attention.o"), ("mlp.c_fc", "mlp.up"), ("mlp.c_proj", "mlp.down")):
                yield turned(f"{theirs}.{their}.weight", f"{ours}.{our}.weight")
                yield same(f"{theirs}.{their}.bias", f"{ours}.{our}.bias")
            yield from linear(f"{theirs}.ln_2", f"{ours}.mlp_norm", bias=True)
        yield from linear("transformer.ln_f", "norm", bias=True)

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Files of the bare model lack the prefix; old ones hold the causal masks as `attn.bias`."""
        named = with_prefix(tensors, "transformer.", ("lm_head.",))
        masks = (".attn.bias", ".attn.masked_bias")
        return {name: tensor for name, tensor in named.items() if not name.endswith(masks)}

    @staticmethod
    def to_theirs(config: GPT2Config) -> dict[str, Any]:
        """The fields of config.json."""
        return {
            "vocab_size": config.vocab_size,
            "n_positions": config.seq_len,
            "n_embd": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "n_inner": config.d_ff,
            "activation_function": "gelu_new",
            "resid_pdrop": config.dropout,
            "embd_pdrop": config.dropout,
            "attn_pdrop": config.attention_dropout,
            "layer_norm_epsilon": config.norm_eps,
            "tie_word_embeddings": True,
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> GPT2Config:
        """Our config from the fields of config.json."""
        theirs.one_of("activation_function", ["gelu_new", "gelu_pytorch_tanh"], "gelu_new")
        theirs.one_of("scale_attn_weights", [True], True)
        for name in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
            theirs.one_of(name, [False], False)
        theirs.one_of("tie_word_embeddings", [True], True)
        theirs.aside("reorder_and_upcast_attn", "n_ctx", *SUMMARY)
        width, dropout = theirs.whole("n_embd"), theirs.number("resid_pdrop", 0.1)
        theirs.one_of("embd_pdrop", [dropout], 0.1)
        return GPT2Config(
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("n_positions"),
            d_model=width,
            n_layers=theirs.whole("n_layer"),
            n_heads=theirs.whole("n_head"),
            d_ff=theirs.whole("n_inner", 4 * width),
            norm_eps=theirs.number("layer_norm_epsilon", 1e-5),
            dropout=dropout,
            attention_dropout=theirs.number("attn_pdrop", 0.1),
        )


# Fields for heads that sum a text up, which a language model does not have.
SUMMARY = (
    "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels", "summary_first_dropout",
    "summary_last_dropout", "start_n_top", "end_n_top",
)  # fmt: skip


def with_prefix(tensors: Mapping[str, Tensor], prefix: str, apart: tuple[str, ...]) -> dict[str, Tensor]:
    """Put the prefix before every name that has neither it nor one of those that stand apart."""
    return {name if name.startswith((prefix, *apart)) else prefix + name: t for name, t in tensors.items()}


def _block(config: GPT2Config) -> PreNormBlock:
    width, heads = config.d_model, config.n_heads
    return PreNormBlock(
        nn.LayerNorm(width, eps=config.norm_eps),
        Attention(width, heads, heads, config.head_width(), bias=True, dropout=config.attention_dropout),
        nn.LayerNorm(width, eps=config.norm_eps),
        MLP(width, config.d_ff, gelu_tanh, bias=True),
        dropout=config.dropout,
    )
