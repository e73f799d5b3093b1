"""What comes after a text: decoders, with their windows and caches, a T5's too; XLNet, whose query stream is asked."""

from collections.abc import Iterator

import torch
from torch import Tensor

from train.model import T5, Cache, Decoder, LanguageModel, XLNet
from train.records import BadInput
from train.sample.draw import Draw, Logits, Sampling, draw_each
from train.tokens import Vocabulary


def new_tokens(
    model: LanguageModel, tokens: list[int], stop: int, sampling: Sampling, size: int | None = None
) -> Iterator[int]:
    """What comes after `tokens`, up to `stop`; drawn from the first `size` of the vocabulary, or from all of it."""
    return (drawn.token for drawn in go_on(model, tokens, stop, sampling, size))


def go_on(
    model: LanguageModel, tokens: list[int], stop: int, sampling: Sampling, size: int | None = None
) -> Iterator[Draw]:
    """The same with what each was drawn from.

    When a model's window is full, it goes on from the last half of it: with or without a cache, the same.
    """
    if isinstance(model, XLNet):
        yield from draw_each(lambda seen, _: _xlnet_ahead(model, seen), tokens, stop, sampling, size)
        return
    if not isinstance(model, Decoder):
        raise BadInput(f"a {model.config.name} does not go on with a text")
    length = model.config.seq_len
    cache = Cache(model.config.n_layers) if sampling.cache else None
    began = 0

    def ahead(seen: list[int], new: int) -> Logits:
        nonlocal cache, began
        start = window_start(len(seen), length)
        if cache is not None and (start != began or cache.length == 0):
            cache, began, new = Cache(model.config.n_layers), start, len(seen) - start
        given = seen[-new:] if cache is not None else seen[start:]
        return last_logits(model, model.hidden(torch.tensor([given], device=device_of(model)), cache=cache))

    yield from draw_each(ahead, tokens, stop, sampling, size)


def answer_to(model: T5, vocabulary: Vocabulary, asked: list[int], sampling: Sampling) -> Iterator[Draw]:
    """What a T5's decoder answers when the encoder reads `asked`."""
    end, pad = vocabulary.need("end"), vocabulary.need("pad")
    with torch.no_grad():
        context = model.encode(torch.tensor([asked], device=device_of(model)))
    cache = Cache(model.config.n_decoder_layers) if sampling.cache else None

    def ahead(seen: list[int], new: int) -> Logits:
        given = seen[-new:] if cache is not None else seen
        return last_logits(model, model.decode(torch.tensor([given], device=device_of(model)), context, cache))

    return draw_each(ahead, [pad], end, sampling, vocabulary.size)


def window_start(count: int, size: int) -> int:
    """Where the window begins: windows move by half their length, so that a cache serves for long."""
    half = max(1, size // 2)
    return 0 if count <= size else -(-(count - size) // half) * half


def _xlnet_ahead(model: XLNet, seen: list[int]) -> Logits:
    """The query stream at one place more, which nobody sees; all others see one another."""
    given = seen[max(0, len(seen) - (model.config.seq_len - 1)) :]
    tokens = torch.tensor([[*given, 0]], device=device_of(model))
    sees = torch.ones(1, len(given) + 1, len(given) + 1, dtype=torch.bool, device=tokens.device)
    sees[..., -1] = False
    place = torch.tensor([[len(given)]], device=tokens.device)
    return last_logits(model, model.hidden(tokens, sees=sees, predict=place))


def last_logits(model: LanguageModel, hidden: Tensor) -> Logits:
    """At the last place of hidden states, (1, T, D)."""
    logits: Logits = model.head(hidden[:, -1])[0].float().cpu()
    return logits


def device_of(model: LanguageModel) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device
