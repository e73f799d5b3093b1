"""T5: an encoder and a decoder, positions as biases of the scores, nothing scaled, no biases (Raffel et al., 2020).

Version 1.1 has a gated MLP and a head of its own (Shazeer, 2020; the published checkpoints of 2021).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import relu

from train.model.context import Cache, Context, may_look_at, may_look_back
from train.model.dropout import Dropout
from train.model.language_model import Family, ModelConfig
from train.model.parts import MLP, Attention, CrossAttention, GatedMLP, PreNormBlock, gelu_tanh
from train.model.positions import RelativeBias
from train.model.theirs import Fields, Stored, linear, same
from train.records import BadInput


@dataclass(kw_only=True)
class T5Config(ModelConfig):
    """The shape of a T5: `n_layers` in the encoder and as many in the decoder; `gated` and untied in version 1.1.

    `seq_len` counts the tokens of text that one example is made from. A tied head is applied to what comes out times
    d_model^-0.5.
    """

    name: str = "t5"
    d_head: int
    n_decoder_layers: int
    n_buckets: int = 32
    max_distance: int = 128
    gated: bool = False
    tie_embeddings: bool = True
    norm_eps: float = 1e-6
    dropout: float = 0.1
    init_embedding: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d_head < 1 or self.n_decoder_layers < 1:
            raise BadInput("model.d_head and model.n_decoder_layers must be at least 1")
        if self.n_buckets < 4 or self.n_buckets % 4 or self.max_distance <= self.n_buckets // 2:
            raise BadInput("model.n_buckets: a multiple of 4; model.max_distance: more than half of it")


class Stack(nn.Module):
    """Blocks over one text, and the biases that tell them how far apart two tokens are."""

    def __init__(self, config: T5Config, n_layers: int, *, decoder: bool) -> None:
        super().__init__()
        self.decoder = decoder
        self.blocks = nn.ModuleList(_block(config, decoder=decoder) for _ in range(n_layers))
        self.relative = RelativeBias(config.n_buckets, config.max_distance, config.n_heads, both_ways=not decoder)
        self.norm = nn.RMSNorm(config.d_model, eps=config.norm_eps)
        self.dropout_in, self.dropout_out = Dropout(config.dropout), Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, context: Context, cache: Cache | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D); `mask` (B or 1, 1, T, S) bool."""
        start = cache.length if cache is not None else 0
        bias = self.relative(start, x.shape[1], start + x.shape[1])
        if mask is not None:
            bias = bias.masked_fill(~mask, float("-inf"))
        context = context._replace(mask=bias)
        x = self.dropout_in(x, context.noise)
        for block, layer in zip(self.blocks, repeat(None) if cache is None else cache, strict=False):
            x = block(x, context, layer)
        out: Tensor = self.dropout_out(self.norm(x), context.noise)
        return out


class T5(Family):
    """A T5."""

    OBJECTIVE = "span_corruption"
    ARCHITECTURE = "T5ForConditionalGeneration"
    COPIES = {  # noqa: RUF012
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
        "lm_head.weight": "shared.weight",
    }
    ZERO = ("attention.o.weight", "cross.o.weight", "mlp.down.weight", "relative.table.weight")

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Stack(config, config.n_layers, decoder=False)
        self.decoder = Stack(config, config.n_decoder_layers, decoder=True)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight

    @property
    def blocks(self) -> Iterable[nn.Module]:  # type: ignore[override]
        """All layers, the encoder's first."""
        return chain(self.encoder.blocks, self.decoder.blocks)

    def encode(
        self,
        tokens: Int[Tensor, "B S"],
        attention_mask: Bool[Tensor, "B S"] | None = None,
        noise: Int[Tensor, " B"] | None = None,
    ) -> Context:
        """What the encoder makes of a text, for `decode`."""
        mask = None if attention_mask is None else may_look_at(attention_mask, tokens.shape[1])
        memory = self.encoder(self.embedding(tokens), mask, Context(noise=noise))
        seen = None if attention_mask is None else attention_mask.bool()[:, None, None, :]
        return Context(memory=memory, memory_mask=seen, noise=noise)

    def decode(
        self, tokens: Int[Tensor, "B T"], context: Context, cache: Cache | None = None
    ) -> Float[Tensor, "B T D"]:
        """What the head is applied to."""
        start = cache.length if cache is not None else 0
        mask = may_look_back(tokens.shape[1], start, tokens.device)
        x: Tensor = self.decoder(self.embedding(tokens), mask, context, cache)
        return x * self.config.d_model**-0.5 if self.config.tie_embeddings else x

    def hidden(
        self,
        tokens: Int[Tensor, "B S"],
        decoder_tokens: Int[Tensor, "B T"],
        attention_mask: Bool[Tensor, "B S"] | None = None,
        noise: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """What the head is applied to, at every token of the decoder's text."""
        return self.decode(decoder_tokens, self.encode(tokens, attention_mask, noise))

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of. The biases' table lies in each stack's first layer."""
        yield same("shared.weight", "embedding.weight")
        for stack in (self.encoder, self.decoder):
            side = "decoder" if stack.decoder else "encoder"
            where = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            yield same(where, f"{side}.relative.table.weight")
            for i in range(len(stack.blocks)):
                yield from self._stored_block(f"{side}.blocks.{i}", f"{side}.block.{i}", decoder=stack.decoder)
            yield same(f"{side}.final_layer_norm.weight", f"{side}.norm.weight")
        if not self.config.tie_embeddings:
            yield from linear("lm_head", "head", bias=False)

    def _stored_block(self, ours: str, theirs: str, *, decoder: bool) -> Iterator[Stored]:
        kinds = [("attention", "SelfAttention"), ("cross", "EncDecAttention")][: 2 if decoder else 1]
        for number, (our, their) in enumerate(kinds):
            yield same(f"{theirs}.layer.{number}.layer_norm.weight", f"{ours}.{our}_norm.weight")
            for name in "qkvo":
                yield same(f"{theirs}.layer.{number}.{their}.{name}.weight", f"{ours}.{our}.{name}.weight")
        last = f"{theirs}.layer.{len(kinds)}"
        yield same(f"{last}.layer_norm.weight", f"{ours}.mlp_norm.weight")
        inner = {"gate": "wi_0", "up": "wi_1"} if self.config.gated else {"up": "wi"}
        for our, their in {**inner, "down": "wo"}.items():
            yield same(f"{last}.DenseReluDense.{their}.weight", f"{ours}.mlp.{our}.weight")

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Old files hold a table that is never read."""
        unread = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
        return {name: tensor for name, tensor in tensors.items() if name != unread}

    @staticmethod
    def to_theirs(config: T5Config) -> dict[str, Any]:
        """The fields of config.json; how long a text may be is not limited there, and `n_positions` a remark."""
        return {
            "vocab_size": config.vocab_size,
            "n_positions": config.seq_len,
            "d_model": config.d_model,
            "d_kv": config.d_head,
            "d_ff": config.d_ff,
            "num_layers": config.n_layers,
            "num_decoder_layers": config.n_decoder_layers,
            "num_heads": config.n_heads,
            "relative_attention_num_buckets": config.n_buckets,
            "relative_attention_max_distance": config.max_distance,
            "dropout_rate": config.dropout,
            "layer_norm_epsilon": config.norm_eps,
            "feed_forward_proj": "gated-gelu" if config.gated else "relu",
            "is_encoder_decoder": True,
            "tie_word_embeddings": config.tie_embeddings,
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> T5Config:
        """Our config from the fields of config.json."""
        gated = theirs.one_of("feed_forward_proj", ["relu", "gated-gelu"], "relu") == "gated-gelu"
        theirs.one_of("is_gated_act", [gated], gated)
        theirs.one_of("dense_act_fn", ["gelu_new"] if gated else ["relu"], "gelu_new" if gated else "relu")
        theirs.one_of("is_decoder", [False], False)
        theirs.aside("output_past")
        layers = theirs.whole("num_layers")
        # transformers 5 writes every T5 as tied, and says by the scale which version it is.
        tied = theirs.yes("scale_decoder_outputs", theirs.yes("tie_word_embeddings", True))
        return T5Config(
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("n_positions", 512),
            d_model=theirs.whole("d_model"),
            d_head=theirs.whole("d_kv"),
            d_ff=theirs.whole("d_ff"),
            n_layers=layers,
            n_decoder_layers=theirs.whole("num_decoder_layers", layers),
            n_heads=theirs.whole("num_heads"),
            n_buckets=theirs.whole("relative_attention_num_buckets", 32),
            max_distance=theirs.whole("relative_attention_max_distance", 128),
            dropout=theirs.number("dropout_rate", 0.1),
            norm_eps=theirs.number("layer_norm_epsilon", 1e-6),
            gated=gated,
            tie_embeddings=tied,
        )


def _block(config: T5Config, *, decoder: bool) -> PreNormBlock:
    width, drop = config.d_model, config.dropout

    def norm() -> nn.Module:
        return nn.RMSNorm(width, eps=config.norm_eps)

    shape = (width, config.n_heads, config.n_heads, config.d_head)
    attention = Attention(*shape, bias=False, scale=1.0, dropout=drop)
    mlp = (
        GatedMLP(width, config.d_ff, gelu_tanh, bias=False, dropout=drop)
        if config.gated
        else MLP(width, config.d_ff, relu, bias=False, dropout=drop)
    )
    cross = CrossAttention(*shape, bias=False, scale=1.0, dropout=drop) if decoder else None
    return PreNormBlock(norm(), attention, norm(), mlp, drop, norm() if decoder else None, cross)
