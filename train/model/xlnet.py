"""XLNet: every order of the tokens is learned, in two streams (Yang et al., 2019).

The content stream knows a token and what comes before it in the order; the query stream knows its place alone, begins
from one learned vector, and is what predicts. Positions are relative, as in Transformer-XL (Dai et al., 2019).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from train.model.dropout import Dropout
from train.model.gpt2 import SUMMARY
from train.model.language_model import Family, ModelConfig
from train.model.parts import MLP
from train.model.relative import RelativeAttention
from train.model.theirs import Fields, Stored, linear, same
from train.records import BadInput


@dataclass(kw_only=True)
class XLNetConfig(ModelConfig):
    """The shape of an XLNet. `clamp_len` above 0 makes all further distances alike."""

    name: str = "xlnet"
    clamp_len: int = -1
    norm_eps: float = 1e-12
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head_width()
        if self.d_model % 2:
            raise BadInput(f"model.d_model={self.d_model}: half of it are sines, half cosines")


class Streams(NamedTuple):
    """What all blocks share: see `XLNet.hidden`. `places`: (B, P, S), at which distance each query meets each key."""

    distances: Tensor
    content_mask: Tensor | None
    query_mask: Tensor | None
    places: Tensor | None
    content_apart: Tensor | None
    query_apart: Tensor | None
    noise: Tensor | None


class TwoStreamBlock(nn.Module):
    """One layer for both streams, with the same weights; post-norm."""

    def __init__(self, config: XLNetConfig) -> None:
        super().__init__()
        width = config.d_model
        self.attention = RelativeAttention(width, config.n_heads, config.head_width(), config.dropout)
        self.attention_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.mlp = MLP(width, config.d_ff, gelu, bias=True, dropout=config.dropout)
        self.mlp_norm = nn.LayerNorm(width, eps=config.norm_eps)
        # The two streams share weights, not dropout's masks.
        self.dropouts = nn.ModuleList(Dropout(config.dropout) for _ in range(4))

    def forward(
        self, content: Tensor, query: Tensor | None, memory: Tensor | None, streams: Streams
    ) -> tuple[Tensor, Tensor | None]:
        """Both streams look at the content stream, and at what it was in the text before, if that is remembered."""
        attention, s = self.attention, streams
        seen = content if memory is None else torch.cat([memory, content], 1)
        keys, values = attention.split(attention.k(seen)), attention.split(attention.v(seen))
        r = attention.split(attention.r(s.distances))
        if query is not None:
            looked = attention(query, keys, values, r, s.query_mask, s.places, s.query_apart, s.noise)
            query = self._finish(query, looked, self.dropouts[0], self.dropouts[1], s.noise)
        looked = attention(content, keys, values, r, s.content_mask, None, s.content_apart, s.noise)
        return self._finish(content, looked, self.dropouts[2], self.dropouts[3], s.noise), query

    def _finish(self, x: Tensor, looked: Tensor, after: nn.Module, last: nn.Module, noise: Tensor | None) -> Tensor:
        x = self.attention_norm(x + after(looked, noise))
        out: Tensor = self.mlp_norm(x + last(self.mlp(x, noise), noise))
        return out


class XLNet(Family):
    """An XLNet."""

    OBJECTIVE = "permutation"
    ARCHITECTURE = "XLNetLMHeadModel"
    COPIES = {"lm_loss.weight": "transformer.word_embedding.weight"}  # noqa: RUF012

    def __init__(self, config: XLNetConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.mask_embedding = nn.Parameter(torch.zeros(config.d_model))
        self.blocks = nn.ModuleList(TwoStreamBlock(config) for _ in range(config.n_layers))
        self.dropouts = nn.ModuleList(Dropout(config.dropout) for _ in range(4))
        self.head = nn.Linear(config.d_model, config.vocab_size)
        self.head.weight = self.embedding.weight

    def hidden(
        self,
        tokens: Int[Tensor, "B T"],
        sees: Bool[Tensor, "B T T"] | None = None,
        predict: Int[Tensor, "B P"] | None = None,
        segments: Int[Tensor, "B T"] | None = None,
        attention_mask: Bool[Tensor, "B T"] | None = None,
        memory: Sequence[Tensor] | None = None,
        noise: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B P D"]:
        """What the head is applied to, at the places to `predict` (all of the content stream's if None).

        `sees[b, i, j]`: in the order learned, token j comes before token i; the content stream sees itself besides.
        `memory`: one (B, M, D) a layer, from `remember`: what the layers made of the text before.
        """
        return self._run(tokens, sees, predict, segments, attention_mask, memory, noise)[0]

    encode = hidden  # the head is applied to what the last block gives

    def remember(self, tokens: Int[Tensor, "B T"], memory: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Each layer's input, to be handed over as `memory` with the text that follows; no gradient goes back to it."""
        kept = self._run(tokens, None, None, None, None, memory, None)[1]
        return [torch.cat([old, new], 1) for old, new in zip(memory, kept, strict=True)] if memory else kept

    def _run(
        self, tokens: Tensor, sees: Tensor | None, predict: Tensor | None, segments: Tensor | None,
        attention_mask: Tensor | None, memory: Sequence[Tensor] | None, noise: Tensor | None,
    ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
        content = self.dropouts[0](self.embedding(tokens), noise)
        query = None
        if predict is not None:
            query = self.dropouts[1](self.mask_embedding.expand(*predict.shape, -1), noise)
        before = memory[0].shape[1] if memory else 0
        streams = self._streams(tokens, before, sees, predict, segments, attention_mask, noise)
        kept = []
        for number, block in enumerate(self.blocks):
            kept.append(content.detach())
            content, query = block(content, query, memory[number] if memory else None, streams)
        return self.dropouts[3](content if query is None else query, noise), kept

    def _streams(
        self, tokens: Tensor, before: int, sees: Tensor | None, predict: Tensor | None, segments: Tensor | None,
        attention_mask: Tensor | None, noise: Tensor | None,
    ) -> Streams:  # fmt: skip
        length, device = tokens.shape[1], tokens.device
        query_mask, content_mask = None, None
        if sees is not None or attention_mask is not None:
            query_mask = torch.ones(1, length, length, dtype=torch.bool, device=device) if sees is None else sees
            if attention_mask is not None:
                query_mask = query_mask & attention_mask.bool()[:, None]
            query_mask = nn.functional.pad(query_mask, (before, 0), value=True)  # all that is remembered is seen
            itself = torch.eye(length, dtype=torch.bool, device=device)
            content_mask = query_mask | nn.functional.pad(itself, (before, 0))
        apart = None
        if segments is not None:
            apart = segments[:, :, None] != nn.functional.pad(segments, (before, 0))[:, None]  # (B, T, S)
        places, query_apart = None, apart
        if predict is not None:
            rows = predict[:, :, None]  # (B, P, 1)
            places = length - rows + torch.arange(before + length, device=device)
            query_mask = None if query_mask is None else _rows(query_mask, rows)
            query_apart = None if apart is None else _rows(apart, rows)
        distances = self._distances(before + length, length, device)  # (R, D)
        if noise is not None:
            distances = self.dropouts[2](distances.expand(len(noise), -1, -1), noise)  # (B, R, D)
        return Streams(distances, content_mask, query_mask, places, apart, query_apart, noise)

    def _distances(self, size: int, length: int, device: torch.device) -> Tensor:
        """(S + T, D): sines, then cosines, of the distances S, S - 1, ... 1 - T (Vaswani et al., 2017, section 3.5)."""
        distance = torch.arange(size, -length, -1, device=device, dtype=torch.float64)
        if self.config.clamp_len > 0:
            distance = distance.clamp(-self.config.clamp_len, self.config.clamp_len)
        exponent = torch.arange(0, self.config.d_model, 2, device=device, dtype=torch.float64) / self.config.d_model
        angles = torch.outer(distance, 10_000.0**-exponent)
        return torch.cat([angles.sin(), angles.cos()], -1).to(self.embedding.weight.dtype)

    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of: theirs are (width, heads, head width)."""
        c = self.config
        shape = (c.d_model, c.n_heads, c.head_width())
        yield same("transformer.word_embedding.weight", "embedding.weight")
        yield _shaped("transformer.mask_emb", "mask_embedding", (1, 1, c.d_model), (c.d_model,))
        for i in range(c.n_layers):
            ours, theirs = f"blocks.{i}", f"transformer.layer.{i}"
            for name in "qkvr":
                yield _headed(f"{theirs}.rel_attn.{name}", f"{ours}.attention.{name}.weight", shape)
            inner = (c.d_model, c.d_model)
            yield _shaped(f"{theirs}.rel_attn.o", f"{ours}.attention.o.weight", shape, inner)
            for their, our in (("r_w", "content"), ("r_r", "distance"), ("r_s", "segment")):
                yield _shaped(f"{theirs}.rel_attn.{their}_bias", f"{ours}.attention.{our}_bias", shape[1:], inner[:1])
            table = f"{ours}.attention.segment_embedding"
            yield _shaped(f"{theirs}.rel_attn.seg_embed", table, (2, *shape[1:]), (2, c.d_model))
            yield from linear(f"{theirs}.rel_attn.layer_norm", f"{ours}.attention_norm", bias=True)
            yield from linear(f"{theirs}.ff.layer_1", f"{ours}.mlp.up", bias=True)
            yield from linear(f"{theirs}.ff.layer_2", f"{ours}.mlp.down", bias=True)
            yield from linear(f"{theirs}.ff.layer_norm", f"{ours}.mlp_norm", bias=True)
        yield same("lm_loss.bias", "head.bias")

    @staticmethod
    def to_theirs(config: XLNetConfig) -> dict[str, Any]:
        """The fields of config.json. Their generation with memory lets old tokens not see new ones: off."""
        return {
            "vocab_size": config.vocab_size,
            "d_model": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "d_inner": config.d_ff,
            "ff_activation": "gelu",
            "attn_type": "bi",
            "untie_r": True,
            "bi_data": False,
            "same_length": False,
            "clamp_len": config.clamp_len,
            "layer_norm_eps": config.norm_eps,
            "dropout": config.dropout,
            "mem_len": config.seq_len,
            "use_mems_eval": False,
            "use_mems_train": False,
            "tie_word_embeddings": True,
        }

    @staticmethod
    def from_theirs(theirs: Fields) -> XLNetConfig:
        """Our config from the fields of config.json."""
        theirs.one_of("ff_activation", ["gelu"], "gelu")
        theirs.one_of("attn_type", ["bi"], "bi")
        for name in ("untie_r", "tie_word_embeddings"):
            theirs.one_of(name, [True], True)
        for name in ("bi_data", "same_length"):
            theirs.one_of(name, [False], False)
        theirs.aside("reuse_len", "use_mems_eval", "use_mems_train", "mems", *SUMMARY)  # how memory is used, not made
        heads, width = theirs.whole("n_head"), theirs.whole("d_model")
        theirs.one_of("d_head", [width // max(1, heads)], width // max(1, heads))
        return XLNetConfig(
            vocab_size=theirs.whole("vocab_size"),
            seq_len=theirs.whole("mem_len", 512),
            d_model=width,
            n_layers=theirs.whole("n_layer"),
            n_heads=heads,
            d_ff=theirs.whole("d_inner"),
            clamp_len=theirs.whole("clamp_len", -1),
            norm_eps=theirs.number("layer_norm_eps", 1e-12),
            dropout=theirs.number("dropout", 0.1),
        )


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """Of (B or 1, T, S), the rows (B, P, 1) -> (B, P, S)."""
    table = table.expand(rows.shape[0], -1, -1)
    return table.gather(1, rows.expand(-1, -1, table.shape[2]))


def _shaped(theirs: str, ours: str, their_shape: Sequence[int], our_shape: Sequence[int]) -> Stored:
    return Stored(
        theirs, (ours,), lambda parts: parts[0].reshape(*their_shape), lambda whole: [whole.reshape(*our_shape)]
    )


def _headed(theirs: str, ours: str, shape: Sequence[int]) -> Stored:
    """A matrix that they store as (in, heads, head width)."""
    return Stored(
        theirs, (ours,), lambda parts: parts[0].T.reshape(*shape), lambda whole: [whole.reshape(shape[0], -1).T]
    )
