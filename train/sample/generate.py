"""Text from a model: each token drawn from the model's distribution narrowed to its likely part.

A decoder goes on with a prompt; an encoder-decoder answers it; an encoder fills in its masks; an XLNet asks its query
stream for the token after the last. All draw in the same way; with temperature 0 the likeliest token is taken.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from train.hugging_face import from_hugging_face
from train.model import T5, Bert, Cache, Decoder, LanguageModel, XLNet
from train.records import BadInput, printable
from train.tokens import Tokenizer, Vocabulary, load_tokenizer, load_vocabulary

Logits = Float[Tensor, " V"]


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
class Speaker:
    """A model, its tokenizer, and what to know of its tokens."""

    model: LanguageModel
    tokenizer: Tokenizer
    vocabulary: Vocabulary

    def say(self, prompt: str, sampling: Sampling) -> str:
        """`prompt` and what the model makes of it."""
        prompt = prompt.encode("utf-8", "replace").decode()
        if self.vocabulary.size > self.model.config.vocab_size:
            raise BadInput("the tokenizer has more tokens than the model")
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                if isinstance(self.model, Bert):
                    return self._fill(self.model, prompt, sampling)
                if isinstance(self.model, T5):
                    return self._answer(self.model, prompt, sampling)
                return self._go_on(prompt, sampling)
        finally:
            self.model.train(training)

    def _go_on(self, prompt: str, sampling: Sampling) -> str:
        front = [token for token in self.tokenizer.encode("").ids if token == self.vocabulary.roles.get("begin")]
        tokens, end = self.encode(prompt), self.vocabulary.need("end")
        new = list(new_tokens(self.model, [*front, *tokens] or [end], end, sampling, self.vocabulary.size))
        return self.decode(tokens + new)

    def _answer(self, model: T5, prompt: str, sampling: Sampling) -> str:
        """A prompt without a sentinel is one that breaks off: the model is asked for what comes after."""
        tokens, sentinels = self.encode(prompt), set(self.vocabulary.sentinels)
        if not sentinels:
            raise BadInput("the tokenizer has no sentinels (<extra_id_0> ...) to ask a T5 with")
        if not set(tokens) & sentinels:
            tokens.append(self.vocabulary.sentinels[0])
        end, pad = self.vocabulary.need("end"), self.vocabulary.need("pad")
        cut = max(0, len(tokens) - (model.config.seq_len - 1))
        if set(tokens[:cut]) & sentinels:
            raise BadInput(
                f"the model reads {model.config.seq_len - 1} tokens: a sentinel stands before the last of them"
            )
        context = model.encode(torch.tensor([[*tokens[cut:], end]], device=_device(model)))
        cache = Cache(model.config.n_decoder_layers) if sampling.cache else None

        def ahead(seen: list[int], new: int) -> Logits:
            given = seen[-new:] if cache is not None else seen
            decoded = model.decode(torch.tensor([given], device=_device(model)), context, cache)
            return _last(model, decoded)

        answer = list(_draw_each(ahead, [pad], end, sampling, self.vocabulary.size))
        return self.fill_in(tokens, answer)

    def fill_in(self, tokens: list[int], answer: list[int]) -> str:
        """The prompt with each sentinel's span in its place, as the answer gives them: <0> span <1> span ..."""
        spans: dict[int, list[int]] = {}
        current: list[int] = []
        for token in answer:
            if token in self.vocabulary.sentinels:
                current = spans.setdefault(token, [])
            else:
                current.append(token)
        sentinels = set(self.vocabulary.sentinels)
        filled = [part for token in tokens for part in (spans.get(token, []) if token in sentinels else [token])]
        return self.decode(filled)

    def _fill(self, model: Bert, prompt: str, sampling: Sampling) -> str:
        """Masks are filled from left to right, each seeing those before; a prompt without one gets one at its end."""
        mask, cls, sep = (self.vocabulary.need(role) for role in ("mask", "cls", "sep"))
        tokens, room = self.encode(prompt), model.config.seq_len - 2
        if room < 1:
            raise BadInput(f"a BERT of {model.config.seq_len} tokens has no room for a text")
        if mask not in tokens:
            tokens.append(mask)
        random = torch.Generator().manual_seed(sampling.seed)
        while mask in tokens:
            place = tokens.index(mask)
            start = max(0, min(place - room // 2, len(tokens) - room))  # a window with the mask in its middle
            framed = [cls, *tokens[start : start + room], sep]
            hidden = model.hidden(torch.tensor([framed], device=_device(model)))
            logits = model.head(hidden[0, place - start + 1]).float().cpu()[: self.vocabulary.size]
            logits[torch.from_numpy(self.vocabulary.special)] = float("-inf")
            tokens[place] = _draw(logits, sampling, random)
        return self.decode(tokens)

    def encode(self, prompt: str) -> list[int]:
        """The prompt's tokens. The mask and the sentinels may be asked for by name; no other special token can."""
        masks = [self.vocabulary.roles["mask"]] if "mask" in self.vocabulary.roles else []
        asked = {number: str(self.tokenizer.id_to_token(number)) for number in [*masks, *self.vocabulary.sentinels]}
        pieces: list[int | str] = [prompt]
        for number, name in asked.items():
            pieces = [part for piece in pieces for part in _cut(piece, name, number)]
        tokens: list[int] = []
        for piece in pieces:
            ids = [piece] if isinstance(piece, int) else self.tokenizer.encode(piece, add_special_tokens=False).ids
            tokens += ids
        return tokens

    def decode(self, tokens: list[int]) -> str:
        """Text."""
        return str(self.tokenizer.decode(tokens))


def _cut(piece: int | str, name: str, number: int) -> Iterator[int | str]:
    """A piece of a prompt, with every `name` in it replaced by its number."""
    if isinstance(piece, int):
        yield piece
        return
    for place, part in enumerate(piece.split(name)):
        if place:
            yield number
        if part:
            yield part


def new_tokens(
    model: LanguageModel, tokens: list[int], stop: int, sampling: Sampling, size: int | None = None
) -> Iterator[int]:
    """What comes after `tokens`, up to `stop`; drawn from the first `size` of the vocabulary, or from all of it.

    When a model's window is full, it goes on from the last half of it: with or without a cache, the same.
    """
    if isinstance(model, XLNet):
        yield from _draw_each(lambda seen, _: _xlnet_ahead(model, seen), tokens, stop, sampling, size)
        return
    if not isinstance(model, Decoder):
        raise BadInput(f"a {model.config.name} does not go on with a text")
    length = model.config.seq_len
    cache = Cache(model.config.n_layers) if sampling.cache else None
    began = 0

    def ahead(seen: list[int], new: int) -> Logits:
        nonlocal cache, began
        start = _window_start(len(seen), length)
        if cache is not None and (start != began or cache.length == 0):
            cache, began, new = Cache(model.config.n_layers), start, len(seen) - start
        given = seen[-new:] if cache is not None else seen[start:]
        return _last(model, model.hidden(torch.tensor([given], device=_device(model)), cache=cache))

    yield from _draw_each(ahead, tokens, stop, sampling, size)


def _window_start(count: int, size: int) -> int:
    """Where the window begins: windows move by half their length, so that a cache serves for long."""
    half = max(1, size // 2)
    return 0 if count <= size else -(-(count - size) // half) * half


def _xlnet_ahead(model: XLNet, seen: list[int]) -> Logits:
    """The query stream at one place more, which nobody sees; all others see one another."""
    given = seen[max(0, len(seen) - (model.config.seq_len - 1)) :]
    tokens = torch.tensor([[*given, 0]], device=_device(model))
    sees = torch.ones(1, len(given) + 1, len(given) + 1, dtype=torch.bool, device=tokens.device)
    sees[..., -1] = False
    place = torch.tensor([[len(given)]], device=tokens.device)
    return _last(model, model.hidden(tokens, sees=sees, predict=place))


def _draw_each(
    ahead: Callable[[list[int], int], Logits], tokens: list[int], stop: int, sampling: Sampling, size: int | None
) -> Iterator[int]:
    """Tokens drawn one after another; `ahead` is given all so far and how many of them are new."""
    random = torch.Generator().manual_seed(sampling.seed)
    seen, new = list(tokens), len(tokens)
    for _ in range(sampling.max_tokens):
        token = _draw(ahead(seen, new)[:size], sampling, random)
        if token == stop:
            return
        seen.append(token)
        new = 1
        yield token


def _last(model: LanguageModel, hidden: Tensor) -> Logits:
    logits: Logits = model.head(hidden[:, -1])[0].float().cpu()
    return logits


def _device(model: LanguageModel) -> torch.device:
    return next(model.parameters()).device


def _draw(logits: Logits, sampling: Sampling, random: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    values, tokens = logits.topk(min(sampling.top_k, len(logits)) if sampling.top_k else len(logits))
    chances = (values / sampling.temperature).softmax(-1)
    return int(tokens[torch.multinomial(chances, 1, generator=random)])


def speak(folder: Path, prompt: str, sampling: Sampling) -> str:
    """Text from the model in `folder`: a release, or any folder in Hugging Face's format of a family known here."""
    if not folder.is_dir():
        raise BadInput(f"{printable(str(folder))}: there is no such folder")
    vocabulary = load_vocabulary(folder)
    return Speaker(from_hugging_face(folder), load_tokenizer(folder), vocabulary).say(prompt, sampling)
