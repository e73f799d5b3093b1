"""BERT: post-norm blocks in which all tokens see all others, learned positions and segments (Devlin et al., 2019)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from train.model.context import Context, may_look_at
from train.model.dropout import Dropout
from train.model.gpt2 import with_prefix
from train.model.language_model import Family, ModelConfig
from train.model.parts import MLP, Attention, PostNormBlock
from train.model.theirs import Fields, Stored, linear, same
from train.numerics import local, piece_of
from train.records import BadInput


@dataclass(kw_only=True)
class BertConfig(ModelConfig):
    """The shape of a BERT; cased and uncased differ in the tokenizer alone (`tokenizer.lowercase`)."""

    name: str = "bert"
    n_segments: int = 2
    norm_eps: float = 1e-12
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head_width()
        if self.n_segments < 1:
            raise BadInput(f"model.n_segments={self.n_segments}: must be at least 1")


class Bert(Family):
    """A BERT with the head of its masked language model."""

    OBJECTIVE = "masked"
    ARCHITECTURE = "BertForMaskedLM"
    COPIES = {  # noqa: RUF012
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        width, eps = config.d_model, config.norm_eps
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.position_embedding = nn.Embedding(config.seq_len, width)
        self.segment_embedding = nn.Embedding(config.n_segments, width)
        self.first_norm, self.dropout = nn.LayerNorm(width, eps=eps), Dropout(config.dropout)
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.n_layers))
        self.transform, self.transform_norm = nn.Linear(width, width), nn.LayerNorm(width, eps=eps)
        self.head = nn.Linear(width, config.vocab_size)
        self.head.weight = self.embedding.weight

    def initialise(self, seed: int, *, exact: bool = False) -> None:
        """Positions begin as sines, five times as large as the tokens, and keys as their queries, so that every head
        begins by looking at a token's neighbours. From random values, with a few million tokens to learn from, it stays
        at the unigram: which tokens are next to the hidden one must first be learned (LOG.md). Sines: Vaswani et al.,
        2017, section 3.5, with shorter waves, rounded so that any library's sine gives the same; keys like queries:
        Trockman and Kolter, "Mimetic Initialization", 2023.
        """
        super().initialise(seed, exact=exact)
        places, width = self.config.seq_len, self.config.d_model
        rates = 100.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = torch.arange(places, dtype=torch.float64)[:, None] * rates
        waves = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width].mul(4096).round() / 4096
        table = self.position_embedding.weight
        local(table).copy_((waves * 5 * math.sqrt(2) * self.config.init_embedding).float()[piece_of(table).spans])
        for block in self.blocks:
            assert isinstance(block, PostNormBlock)
            queries = local(block.attention.q.weight).mul_(2)
            local(block.attention.k.weight).copy_(queries)

    def hidden(
        self,
        tokens: Int[Tensor, "B T"],
        segments: Int[Tensor, "B T"] | None = None,
        attention_mask: Bool[Tensor, "B T"] | None = None,
        noise: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """What the head is applied to. `segments` 0 or 1 (sentence A or B), `attention_mask` True at real tokens."""
        x = self.encode(tokens, segments, attention_mask, noise)
        out: Tensor = self.transform_norm(gelu(self.transform(x)))
        return out

    def encode(
        self,
        tokens: Int[Tensor, "B T"],
        segments: Int[Tensor, "B T"] | None = None,
        attention_mask: Bool[Tensor, "B T"] | None = None,
        noise: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """What the last block gives."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        segments = torch.zeros_like(tokens) if segments is None else segments
        x = self.embedding(tokens) + self.segment_embedding(segments) + self.position_embedding(places)
        x = self.dropout(self.first_norm(x), noise)
        mask = None if attention_mask is None else may_look_at(attention_mask, tokens.shape[1])
        context = Context(mask=mask, noise=noise)
        for block in self.blocks:
            x = block(x, context)
        out: Tensor = x
        return out

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of."""
        for name in ("word", "position", "token_type"):
            our = {"word": "embedding", "position": "position_embedding", "token_type": "segment_embedding"}[name]
            yield same(f"bert.embeddings.{name}_embeddings.weight", f"{our}.weight")
        yield from linear("bert.embeddings.LayerNorm", "first_norm", bias=True)
        for i in range(self.config.n_layers):
            ours, theirs = f"blocks.{i}", f"bert.encoder.layer.{i}"
            for their, our in (("query", "q"), ("key", "k"), ("value", "v")):
                yield from linear(f"{theirs}.attention.self.{their}", f"{ours}.attention.{our}", bias=True)
            yield from linear(f"{theirs}.attention.output.dense", f"{ours}.attention.o", bias=True)
            yield from linear(f"{theirs}.attention.output.LayerNorm", f"{ours}.attention_norm", bias=True)
            yield from linear(f"{theirs}.intermediate.dense", f"{ours}.mlp.up", bias=True)
            yield from linear(f"{theirs}.output.dense", f"{ours}.mlp.down", bias=True)
            yield from linear(f"{theirs}.output.LayerNorm", f"{ours}.mlp_norm", bias=True)
        yield from linear("cls.predictions.transform.dense", "transform", bias=True)
        yield from linear("cls.predictions.transform.LayerNorm", "transform_norm", bias=True)
        yield same("cls.predictions.bias", "head.bias")

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Old files say gamma and beta. What a masked language model lacks is left aside: the pooler, the
        next-sentence head, a table of positions that is only 0, 1, 2 ..."""
        aside = ("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_ids")
        named = with_prefix(tensors, "bert.", ("cls.",))
        renamed = {
            name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensor
            for name, tensor in named.items()
        }
        return {name: tensor for name, tensor in renamed.items() if not name.startswith(aside)}

    @staticmethod
    def to_theirs(config: BertConfig) -> dict[str, Any]:
        """The fields of config.json."""
        return {
            "vocab_size": config.vocab_size,
            "max_position_embeddings": config.seq_len,
            "type_vocab_size": config.n_segments,
            "hidden_size": config.d_model,
            "intermediate_size": config.d_ff,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "hidden_act": "gelu",
            "position_embedding_type": "absolute",
            "layer_norm_eps": config.norm_eps,
            "hidden_dropout_prob": config.dropout,
            "attention_probs_dropout_prob": config.attention_dropout,
            "tie_word_embeddings": True,
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> BertConfig:
        """Our config from the fields of config.json."""
        theirs.one_of("hidden_act", ["gelu"], "gelu")
        theirs.one_of("position_embedding_type", ["absolute"], "absolute")
        theirs.one_of("tie_word_embeddings", [True], True)
        for name in ("is_decoder", "add_cross_attention"):
            theirs.one_of(name, [False], False)
        theirs.aside("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers")
        theirs.aside("pooler_size_per_head", "pooler_type")
        return BertConfig(
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("max_position_embeddings"),
            n_segments=theirs.whole("type_vocab_size", 2),
            d_model=theirs.whole("hidden_size"),
            n_layers=theirs.whole("num_hidden_layers"),
            n_heads=theirs.whole("num_attention_heads"),
            d_ff=theirs.whole("intermediate_size"),
            norm_eps=theirs.number("layer_norm_eps", 1e-12),
            dropout=theirs.number("hidden_dropout_prob", 0.1),
            attention_dropout=theirs.number("attention_probs_dropout_prob", 0.1),
        )


def _block(config: BertConfig) -> PostNormBlock:
    width, heads = config.d_model, config.n_heads
    return PostNormBlock(
        Attention(width, heads, heads, config.head_width(), bias=True, dropout=config.attention_dropout),
        nn.LayerNorm(width, eps=config.norm_eps),
        MLP(width, config.d_ff, gelu, bias=True),
        nn.LayerNorm(width, eps=config.norm_eps),
        dropout=config.dropout,
    )
