"""One token after another: each drawn from the model's distribution narrowed to its likely part."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from train.records import BadInput

Logits = Float[Tensor, " V"]

_COLD = 1e-8  # a temperature below, and the likeliest token alone has a chance: it is taken, as at 0


@dataclass(kw_only=True, frozen=True)
class Sampling:
    """`temperature` 0 takes the likeliest token; `top_k` 0 lets all tokens in; `cache` keeps keys and values."""

    max_tokens: int = 100
    temperature: float = 0.8
    top_k: int = 50
    seed: int = 0
    cache: bool = True

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or not 0 <= self.temperature < 1000 or self.top_k < 0 or not 0 <= self.seed < 2**53:
            raise BadInput("sampling: max_tokens must be at least 1; temperature, top_k and seed at least 0")


@dataclass(frozen=True)
class Option:
    """A token that could come: `chance` in the model's own distribution, `share` in the narrowed one, drawn from."""

    token: int
    chance: float
    share: float


@dataclass(frozen=True)
class Draw:
    """A token, the logits that it was drawn from, (V,), and how."""

    token: int
    logits: Logits
    sampling: Sampling

    def options(self, most: int) -> list[Option]:
        """The `most` likeliest tokens, and the one that was drawn in any case; the likeliest first."""
        chances, shares = self.logits.softmax(-1), torch.zeros_like(self.logits)
        tokens, narrowed = narrow(self.logits, self.sampling)
        shares[tokens] = narrowed
        likeliest: list[int] = self.logits.topk(min(most, len(self.logits))).indices.tolist()
        shown = likeliest if self.token in likeliest else [*likeliest, self.token]
        return [Option(token, float(chances[token]), float(shares[token])) for token in shown]


def narrow(logits: Logits, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The tokens that can come, (K,) int64, the likeliest first, and their chances, (K,), which sum to 1.

    Raises BadInput where the logits give none.
    """
    cold = sampling.temperature < _COLD
    if not (logits.max() / (1 if cold else sampling.temperature)).isfinite():
        raise BadInput("the model gives no chances: a logit is no finite number, and its weights are damaged")
    if cold:
        return logits.argmax(-1, keepdim=True), torch.ones(1)
    values, tokens = logits.topk(min(sampling.top_k, len(logits)) if sampling.top_k else len(logits))
    return tokens, (values / sampling.temperature).softmax(-1)


def draw(logits: Logits, sampling: Sampling, random: torch.Generator) -> Draw:
    """The next token."""
    tokens, chances = narrow(logits, sampling)
    number = torch.multinomial(chances, 1, generator=random) if sampling.temperature else 0
    return Draw(int(tokens[number]), logits, sampling)


def draw_each(
    ahead: Callable[[list[int], int], Logits], tokens: list[int], stop: int, sampling: Sampling, size: int | None
) -> Iterator[Draw]:
    """Tokens drawn one after another; `ahead` is given all so far and how many of them are new."""
    random = torch.Generator().manual_seed(sampling.seed)
    seen, new = list(tokens), len(tokens)
    for _ in range(sampling.max_tokens):
        with torch.no_grad():  # not around the yield: what the caller does meanwhile is the caller's
            drawn = draw(ahead(seen, new)[:size], sampling, random)
        if drawn.token == stop:
            return
        seen.append(drawn.token)
        new = 1
        yield drawn
