"""Text from a model. A decoder goes on with a prompt; an encoder-decoder answers it; an encoder fills in its masks; an
XLNet asks its query stream for the token after the last. All draw in the same way, token by token (`Answer.steps`).
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch

from train.model import T5, Bert, LanguageModel
from train.records import BadInput
from train.sample.ahead import answer_to, device_of, go_on
from train.sample.characters import Characters
from train.sample.draw import Draw, Logits, Sampling, draw
from train.sample.likeliest import behind_the_likeliest
from train.tokens import Chat, Message, Tokenizer, Vocabulary, encoding


@dataclass(frozen=True)
class Step:
    """A token that was drawn, and the characters that it completes. `blank`: where in the prompt they stand, if they
    do: a T5 also says which blank it fills."""

    drawn: Draw
    text: str
    blank: int | None


@dataclass(frozen=True)
class Speaker:
    """A model, its tokenizer, what to know of its tokens, and, if it was tuned to answer, its chat template."""

    model: LanguageModel
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    chat: Chat | None = None

    def say(self, prompt: str, sampling: Sampling) -> str:
        """`prompt` and what the model makes of it; of a model with a chat template, its answer to `prompt`."""
        answer = self.answer(prompt)
        for _ in answer.steps(sampling):
            pass
        return answer.text()

    def answer(self, prompt: str) -> "Answer":
        """`prompt` as the model takes it, and nothing written yet: as a message, if it was tuned to answer these."""
        return self.complete(prompt) if self.chat is None else self.reply([Message("user", prompt)])

    def reply(self, messages: Sequence[Message]) -> "Reply":
        """A conversation, and nothing yet written of the next message."""
        if self.chat is None:
            raise BadInput("this model has no chat template: it takes texts, and was not tuned to converse")
        return Reply(self, self.chat.ask(messages))

    def complete(self, prompt: str) -> "Answer":
        """`prompt` as a text, and nothing written yet."""
        tokens = self.encode(prompt.encode("utf-8", "replace").decode())
        if isinstance(self.model, Bert):
            return Filling(self, tokens)
        if isinstance(self.model, T5):
            return Spans(self, tokens)
        with encoding():
            front = [token for token in self.tokenizer.encode("").ids if token == self.vocabulary.roles.get("begin")]
        return Continuation(self, tokens, front)

    def fill_in(self, tokens: list[int], answer: list[int]) -> str:
        """The prompt with each sentinel's span in its place, as the answer gives them: <0> span <1> span ..."""
        return self.decode(_filled(tokens, answer, set(self.vocabulary.sentinels)))

    def encode(self, prompt: str) -> list[int]:
        """The prompt's tokens. The mask and the sentinels may be asked for by name; no other special token can."""
        masks = [self.vocabulary.roles["mask"]] if "mask" in self.vocabulary.roles else []
        asked = {number: str(self.tokenizer.id_to_token(number)) for number in [*masks, *self.vocabulary.sentinels]}
        pieces: list[int | str] = [prompt]
        for number, name in asked.items():
            pieces = [part for piece in pieces for part in _cut(piece, name, number)]
        tokens: list[int] = []
        with encoding():
            for piece in pieces:
                ids = [piece] if isinstance(piece, int) else self.tokenizer.encode(piece, add_special_tokens=False).ids
                tokens += ids
        return tokens

    def decode(self, tokens: list[int]) -> str:
        """Text."""
        return str(self.tokenizer.decode(tokens))

    def label(self, token: int) -> str:
        """A token as a person reads it: its text, or the name of a special one."""
        return self.decode([token]) or str(self.tokenizer.id_to_token(token) or "")


class Answer(ABC):
    """A prompt and what a model writes into its blanks: one at its end, or those that the prompt names."""

    def __init__(self, speaker: Speaker, tokens: list[int], blanks: list[int], read: int) -> None:
        """`tokens`: the prompt; `blanks`: where in it the model writes; `read`: how many tokens the model is given."""
        if speaker.vocabulary.size > speaker.model.config.vocab_size:
            raise BadInput("the tokenizer has more tokens than the model")
        if isinstance(speaker.model, T5) and read > (most := speaker.model.config.seq_len):
            raise BadInput(f"the model reads {most} tokens, and is asked {read}: ask in fewer words, or begin anew")
        self.speaker, self.tokens, self.blanks, self.prompt_tokens = speaker, tokens, blanks, read

    def steps(self, sampling: Sampling) -> Generator[Step, None, None]:
        """The tokens as they are drawn; between two of them the text so far is in `text`."""
        model, training = self.speaker.model, self.speaker.model.training
        model.eval()
        try:
            yield from self._write(sampling)
        finally:
            model.train(training)

    def pieces(self) -> list[str]:
        """The text of the prompt before, between and behind its blanks."""
        starts, stops = [0, *(place + 1 for place in self.blanks)], [*self.blanks, len(self.tokens)]
        return [self._read(stop)[len(self._read(start)) :] for start, stop in zip(starts, stops, strict=True)]

    def _read(self, stop: int) -> str:
        """The first tokens of the prompt, blanks by their names."""
        return str(self.speaker.tokenizer.decode(self.tokens[:stop], skip_special_tokens=False))

    def text(self) -> str:
        """The prompt and what was written so far."""
        return self.speaker.decode(self._so_far())

    def is_cut_short(self, drawn: int, sampling: Sampling) -> bool:
        """Whether it ended after `drawn` tokens because no more were allowed."""
        return drawn >= sampling.max_tokens

    @abstractmethod
    def _so_far(self) -> list[int]: ...

    @abstractmethod
    def _write(self, sampling: Sampling) -> Iterator[Step]: ...


class Continuation(Answer):
    """What comes after a text. `front`: tokens that the model is given before it."""

    def __init__(self, speaker: Speaker, tokens: list[int], front: list[int]) -> None:
        super().__init__(speaker, tokens, [len(tokens)], len(front) + len(tokens))
        self._front, self._new = front, list[int]()

    def _so_far(self) -> list[int]:
        return self.tokens + self._new

    def _write(self, sampling: Sampling) -> Iterator[Step]:
        speaker, end = self.speaker, self.speaker.vocabulary.need("end")
        given = [*self._front, *self.tokens] or [end]
        characters = Characters(speaker.decode, self.tokens)
        for drawn in go_on(speaker.model, given, end, sampling, speaker.vocabulary.size):
            self._new.append(drawn.token)
            yield Step(drawn, characters.add(drawn.token), 0)


class Reply(Answer):
    """The next message of a conversation, whose tokens are given to the model as they are; it alone is the text."""

    def __init__(self, speaker: Speaker, asked: list[int]) -> None:
        if not asked:
            raise BadInput("the chat template gives the model nothing to answer")
        super().__init__(speaker, [], [0], len(asked))
        self._asked, self._new = asked, list[int]()

    @property
    def said(self) -> list[int]:
        """The tokens that were written so far."""
        return list(self._new)

    def behind(self, said: Sequence[int]) -> list[float]:
        """Of each of these tokens, were they the answer: by how many nats it is less likely than the likeliest.

        What is written at temperature 0 is nowhere behind, but for rounding.
        """
        return behind_the_likeliest(self.speaker.model, self.speaker.vocabulary, self._asked, list(said))

    def _so_far(self) -> list[int]:
        return self._new

    def _write(self, sampling: Sampling) -> Iterator[Step]:
        model, vocabulary, characters = self.speaker.model, self.speaker.vocabulary, Characters(self.speaker.decode, [])
        if isinstance(model, T5):
            draws = answer_to(model, vocabulary, self._asked, sampling)
        else:
            draws = go_on(model, self._asked, vocabulary.need("end"), sampling, vocabulary.size)
        for drawn in draws:
            self._new.append(drawn.token)
            yield Step(drawn, characters.add(drawn.token), 0)


class Spans(Answer):
    """A T5's answer to a prompt with sentinels. One without breaks off: the model is asked for what comes after."""

    def __init__(self, speaker: Speaker, tokens: list[int]) -> None:
        self._sentinels = set(speaker.vocabulary.sentinels)
        if not self._sentinels:
            raise BadInput("the tokenizer has no sentinels (<extra_id_0> ...) to ask a T5 with")
        if not set(tokens) & self._sentinels:
            tokens = [*tokens, speaker.vocabulary.sentinels[0]]
        seq_len = speaker.model.config.seq_len
        cut = max(0, len(tokens) - (seq_len - 1))
        if set(tokens[:cut]) & self._sentinels:
            raise BadInput(f"the model reads {seq_len - 1} tokens: a sentinel stands before the last of them")
        blanks = [place for place, token in enumerate(tokens) if token in self._sentinels]
        super().__init__(speaker, tokens, blanks, len(tokens) - cut + 1)
        self._given, self._answer = tokens[cut:], list[int]()

    def _so_far(self) -> list[int]:
        return _filled(self.tokens, self._answer, self._sentinels)

    def _write(self, sampling: Sampling) -> Iterator[Step]:
        first = {self.tokens[place]: blank for blank, place in reversed(list(enumerate(self.blanks)))}
        blank, characters = None, Characters(self.speaker.decode, [])
        model, vocabulary = self.speaker.model, self.speaker.vocabulary
        assert isinstance(model, T5)
        for drawn in answer_to(model, vocabulary, [*self._given, vocabulary.need("end")], sampling):
            self._answer.append(drawn.token)
            if drawn.token in self._sentinels:
                blank = first.get(drawn.token)
                before = self.tokens[: 0 if blank is None else self.blanks[blank]]
                so_far = _filled(before, self._answer, self._sentinels)
                characters = Characters(self.speaker.decode, so_far)
                yield Step(drawn, "", None)
            else:
                yield Step(drawn, "" if blank is None else characters.add(drawn.token), blank)


class Filling(Answer):
    """Masks are filled from left to right, each seeing those before; a prompt without one gets one at its end."""

    def __init__(self, speaker: Speaker, tokens: list[int]) -> None:
        self._mask, self._cls, self._sep = (speaker.vocabulary.need(role) for role in ("mask", "cls", "sep"))
        self._room = speaker.model.config.seq_len - 2
        if self._room < 1:
            raise BadInput(f"a BERT of {speaker.model.config.seq_len} tokens has no room for a text")
        tokens = tokens if self._mask in tokens else [*tokens, self._mask]
        blanks = [place for place, token in enumerate(tokens) if token == self._mask]
        super().__init__(speaker, tokens, blanks, min(len(tokens), self._room) + 2)
        self._filled = list(tokens)

    def is_cut_short(self, drawn: int, sampling: Sampling) -> bool:
        """Never: each mask is filled."""
        return False

    def _so_far(self) -> list[int]:
        return self._filled

    def _write(self, sampling: Sampling) -> Iterator[Step]:
        random = torch.Generator().manual_seed(sampling.seed)
        for blank, place in enumerate(self.blanks):
            drawn = draw(self._ahead(place), sampling, random)
            characters = Characters(self.speaker.decode, self._filled[:place])
            self._filled[place] = drawn.token
            yield Step(drawn, characters.add(drawn.token), blank)

    @torch.no_grad()
    def _ahead(self, place: int) -> Logits:
        """At a mask, from a window with it in its middle."""
        model, vocabulary, room = self.speaker.model, self.speaker.vocabulary, self._room
        start = max(0, min(place - room // 2, len(self._filled) - room))
        framed = [self._cls, *self._filled[start : start + room], self._sep]
        hidden = model.hidden(torch.tensor([framed], device=device_of(model)))
        logits: Logits = model.head(hidden[0, place - start + 1]).float().cpu()[: vocabulary.size]
        logits[torch.from_numpy(vocabulary.special)] = float("-inf")
        return logits


def _filled(tokens: list[int], answer: list[int], sentinels: set[int]) -> list[int]:
    """`tokens` with the answer's spans where their sentinels stand."""
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in answer:
        if token in sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return [part for token in tokens for part in (spans.get(token, []) if token in sentinels else [token])]


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
