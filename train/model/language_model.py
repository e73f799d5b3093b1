"""What every family is: a stack of blocks between an embedding and a head. And what most are: a decoder alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import repeat
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from train.model.context import Cache, Context, may_look_at, may_look_back, position_in_document, same_document
from train.model.dropout import Dropout
from train.model.init import initialise
from train.model.positions import Alibi, Rotary
from train.model.theirs import Fields, Stored
from train.records import MACHINE, BadInput

_MOST = 2**24  # of anything: no weight's size overflows


@dataclass(kw_only=True)
class ModelConfig:
    """What every family is told. `init_embedding` and `init_gain`: the table in init.py."""

    name: str
    vocab_size: int
    seq_len: int
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    init_embedding: float = 0.02
    init_gain: float = 0.5
    why: str = field(default="", metadata=MACHINE)

    def __post_init__(self) -> None:
        family = next(f.default for f in fields(self) if f.name == "name")
        if self.name != family:
            raise BadInput(f"model.name={self.name}: this config is {family}'s; choose with model={self.name}")
        for name in ("vocab_size", "seq_len", "d_model", "n_layers", "n_heads", "d_ff"):
            if not 1 <= getattr(self, name) <= _MOST:
                raise BadInput(f"model.{name}={getattr(self, name)}: must be from 1 to {_MOST}")
        if not getattr(self, "norm_eps", 1.0) > 0:
            raise BadInput(f"model.norm_eps={self.norm_eps}: must be more than 0")  # type: ignore[attr-defined]
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name, 0.0) <= 0.9:
                raise BadInput(f"model.{name}={getattr(self, name)}: must be from 0 to 0.9")

    def head_width(self) -> int:
        """d_model / n_heads, in the families where the heads share out the width."""
        if self.d_model % self.n_heads:
            raise BadInput(f"model.d_model={self.d_model} must be a multiple of model.n_heads={self.n_heads}")
        return self.d_model // self.n_heads


class LanguageModel(nn.Module, ABC):
    """Tokens in, logits out. `hidden` gives what the head is applied to, for the chunked loss."""

    OBJECTIVE: ClassVar[str]
    ARCHITECTURE: ClassVar[str]
    ZERO: ClassVar[tuple[str, ...]] = ("attention.o.weight", "mlp.down.weight")
    COPIES: ClassVar[dict[str, str]] = {}  # second names under which their files may hold a tied tensor

    config: Any
    head: nn.Linear
    blocks: Iterable[nn.Module]

    @abstractmethod
    def hidden(self, *args: Any, **inputs: Any) -> Float[Tensor, "B T D"]:
        """What the head is applied to."""

    def forward(self, *args: Any, **inputs: Any) -> Float[Tensor, "B T V"]:
        """Logits at every position; takes what `hidden` takes."""
        logits: Tensor = self.head(self.hidden(*args, **inputs))
        return logits

    def initialise(self, seed: int, *, exact: bool = False) -> None:
        """The initial weights of this seed (the table in init.py); an untied head begins at zero."""
        tied = any(p is self.head.weight for name, p in self.named_parameters() if name != "head.weight")
        zero = [*self.ZERO] + ([] if tied else ["head.weight"])
        initialise(
            self, seed=seed, embedding=self.config.init_embedding, gain=self.config.init_gain, zero=zero, exact=exact
        )

    @abstractmethod
    def stored(self) -> Iterator[Stored]:
        """Their tensors, and which of ours each is made of."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """The fields of config.json that say what this model is."""

    @staticmethod
    def named_as_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of an older file under today's names, without what is computed and not learned."""
        return dict(tensors)


class Family(LanguageModel):
    """A language model of a family, whose config and config.json say the same."""

    @staticmethod
    @abstractmethod
    def to_theirs(config: Any) -> dict[str, Any]:
        """The fields of config.json that say what this config says."""

    @staticmethod
    @abstractmethod
    def from_theirs(theirs: Fields) -> Any:
        """Our config from the fields of config.json."""

    def about(self) -> dict[str, Any]:
        """Its config's fields."""
        return self.to_theirs(self.config)


class Decoder(Family):
    """A stack of blocks in which each token sees itself and those before it; made of the parts it is given."""

    OBJECTIVE = "causal"

    def __init__(
        self,
        config: Any,
        blocks: Sequence[nn.Module],
        norm: nn.Module,
        *,
        tied: bool,
        rotary: Rotary | None = None,
        alibi: Alibi | None = None,
        position_embedding: nn.Embedding | None = None,
        first_norm: nn.Module | None = None,
        dropout: float = 0.0,
        within_documents: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.within_documents = config, within_documents
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding, self.first_norm = position_embedding, first_norm
        self.rotary, self.alibi, self.dropout = rotary, alibi, Dropout(dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def hidden(
        self,
        tokens: Int[Tensor, "B T"],
        documents: Int[Tensor, "B S"] | None = None,
        attention_mask: Bool[Tensor, "B S"] | None = None,
        noise: Int[Tensor, " B"] | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """What the head is applied to.

        `documents` says which document each token stands in, `attention_mask` is True at real tokens (in both, earlier
        tokens in `cache` are counted in), `noise` holds the sequences' dropout keys.
        """
        start = 0 if cache is None else cache.length
        x = self.embedding(tokens)
        if self.position_embedding is not None:
            places = torch.arange(start, start + tokens.shape[1], device=tokens.device)
            if self.within_documents and documents is not None:
                places = position_in_document(documents)
            x = x + self.position_embedding(places)
        if self.first_norm is not None:
            x = self.first_norm(x)
        x = self.dropout(x, noise)
        context = self._context(tokens, start, documents, attention_mask, noise)
        for block, layer in zip(self.blocks, repeat(None) if cache is None else cache, strict=False):
            x = block(x, context, layer)
        out: Tensor = self.norm(x)
        return out

    def _context(
        self, tokens: Tensor, start: int, documents: Tensor | None, attention_mask: Tensor | None, noise: Tensor | None
    ) -> Context:
        length, device = tokens.shape[1], tokens.device
        rotary = None if self.rotary is None else self.rotary.tables(start, length, self.embedding.weight)
        within = self.within_documents and documents is not None
        plain = attention_mask is None and not within and self.alibi is None
        if plain and (start == 0 or length == 1):
            return Context(is_causal=start == 0, rotary=rotary, noise=noise)
        mask = may_look_back(length, start, device)
        if within and documents is not None:
            mask = mask & same_document(documents)[:, :, start:]
        if attention_mask is not None:
            mask = mask & may_look_at(attention_mask, length)
        if self.alibi is not None:
            real = torch.ones(1, start + length, device=device) if attention_mask is None else attention_mask.long()
            bias = self.alibi.bias(((real.cumsum(1) - 1) * real).long())  # (B, H, 1, S)
            mask = bias.masked_fill(~mask, float("-inf"))
        return Context(mask=mask, is_causal=start == 0, rotary=rotary, noise=noise)
