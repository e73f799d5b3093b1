"""What all blocks of one forward pass share, and what they keep from one pass to the next."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Context(NamedTuple):
    """What all blocks of one forward pass share; whatever does not apply is None.

    `mask`: (B or 1, H or 1, T, S), bool (True where a query may look) or float (added to the scores);
    `is_causal`: tokens look at themselves and earlier ones alone, as a `mask` then says too; `rotary`: cosines and
    sines, each (T, E/2); `memory`: (B, M, D), what an encoder made, and `memory_mask`: (B, 1, 1, M) bool, where one
    may look at it; `noise`: (B,) int64, the key of each sequence's dropout: None is no dropout.
    """

    mask: Tensor | None = None
    is_causal: bool = False
    rotary: tuple[Tensor, Tensor] | None = None
    memory: Tensor | None = None
    memory_mask: Tensor | None = None
    noise: Tensor | None = None


class LayerCache:
    """The keys and values that one layer has made so far, each (B, K, S, E)."""

    def __init__(self) -> None:
        self.own: tuple[Tensor, Tensor] | None = None
        self.memory: tuple[Tensor, Tensor] | None = None

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new tokens; returns all."""
        if self.own is not None:
            keys, values = torch.cat([self.own[0], keys], 2), torch.cat([self.own[1], values], 2)
        self.own = keys, values
        return self.own


class Cache:
    """The layers' caches, for text that is made token by token (Shazeer, "Fast Transformer Decoding", 2019)."""

    def __init__(self, n_layers: int) -> None:
        self.layers = [LayerCache() for _ in range(n_layers)]

    def __iter__(self) -> Iterator[LayerCache]:
        return iter(self.layers)

    @property
    def length(self) -> int:
        """How many tokens it holds."""
        own = self.layers[0].own
        return 0 if own is None else own[0].shape[2]


def may_look_back(length: int, start: int, device: torch.device) -> Tensor:
    """(1, 1, T, S) bool: `length` new tokens after `start` earlier ones look at themselves and at what comes before."""
    return torch.ones(length, start + length, dtype=torch.bool, device=device).tril(start)[None, None]


def same_document(documents: Int[Tensor, "B S"]) -> Tensor:
    """(B, 1, S, S) bool: both tokens stand in one document."""
    return (documents[:, :, None] == documents[:, None, :])[:, None]


def position_in_document(documents: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """How many tokens of its document stand before each; a document's tokens follow one another."""
    place = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = documents != documents.roll(1, 1)
    return place - torch.where(begins, place, 0).cummax(1).values


def may_look_at(attention_mask: Tensor, length: int) -> Tensor:
    """(B, 1, T, S) bool from (B, S) bool, True at real tokens: all look at these, and padding at itself (not NaN)."""
    size = attention_mask.shape[1]
    itself = torch.ones(length, size, dtype=torch.bool, device=attention_mask.device).tril(size - length)
    itself = itself & ~itself.tril(size - length - 1)
    return attention_mask.bool()[:, None, None, :] | itself
