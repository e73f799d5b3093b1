"""Chat templates: how turns become one text, and which of its tokens are answers.

A template is a Jinja text in tokenizer_config.json, where the ecosystem keeps it. It comes from outside: it is rendered
in Jinja's sandbox, where it can read what it is given and reach nothing else (that it comes to an end is not sure), and
what is said in a turn can spell no special token.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from train.documents import Example, Message
from train.records import BadInput, printable, read_json
from train.tokens.loading import load_tokenizer
from train.tokens.shards import encoding
from train.tokens.vocabulary import Vocabulary, load_vocabulary

# Plain words mark the roles, the end token closes an answer: no token is needed that the vocabulary has not.
TEMPLATE = """{{- bos_token }}
{%- for message in messages %}
    {%- if not loop.first %}{{- '\\n' }}{%- endif %}
    {{- message['role'].capitalize() + ':\\n' + message['content'] }}
    {%- if message['role'] == 'assistant' %}{{- eos_token }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\\nAssistant:\\n' }}{%- endif %}"""
TEXT_TO_TEXT = "{{- messages | map(attribute='content') | join('\\n') }}"  # an encoder reads it, a decoder answers

_LARGEST = 2**18  # bytes of a template
_PLACE = "\ue000{}\ue001"
_PLACES = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True)
class Encoded:
    """One answer and what stands before it: `answers` is True at the tokens to learn, the end among them."""

    tokens: list[int]
    answers: list[bool]

    def asked(self) -> tuple[list[int], list[int]]:
        """Text to text: what an encoder reads, and the answer that a decoder gives."""
        begins = self.answers.index(True)
        return self.tokens[:begins], self.tokens[begins:]


class Chat:
    """A tokenizer and its chat template."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, template: str) -> None:
        self.tokenizer, self.vocabulary, self.template = tokenizer, vocabulary, template
        self.tokenizer.encode_special_tokens = False  # the template may spell them; what is said is checked
        self._special = [str(tokenizer.id_to_token(int(n))) for n in np.flatnonzero(vocabulary.special)]

    @property
    def text_to_text(self) -> bool:
        """Whether an encoder reads the question and a decoder answers it."""
        return bool(self.vocabulary.sentinels)

    @cached_property
    def _say(self) -> Callable[[dict[str, object]], str]:
        from train.tokens.template import Bounded

        environment = Bounded()
        return partial(environment.say, environment.compiled(self.template))

    def render(self, messages: Sequence[Message], *, asking: bool = False) -> str:
        """The turns as one text; `asking` ends it where an answer begins. Raises BadInput if the template refuses."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        given: dict[str, object] = {"messages": turns, "add_generation_prompt": asking, **self.names()}
        try:
            return self._say(given)
        except Exception as error:  # a template is a program, and may raise anything
            raise BadInput(f"the chat template cannot say this: {printable(str(error))[:120]}") from error

    def names(self) -> dict[str, str]:
        """bos_token, eos_token and their like, as templates call them."""
        return {
            name.replace("_id", ""): str(self.tokenizer.id_to_token(number))
            for name, number in self.vocabulary.hugging_face().items()
        }

    def encode(self, prompt: Sequence[Message], answer: str, *, last_only: bool = False) -> Encoded:
        """The tokens of an answer and of what stands before it; earlier answers are to be learned unless `last_only`.

        Raises BadInput with the reason if the template or the vocabulary cannot say it.
        """
        self._refuse_special(*(message.content for message in prompt), answer)
        if self.text_to_text:
            asked = [*self._ids(self.render(prompt)), self.vocabulary.need("end")]
            told = [*self._ids(answer), self.vocabulary.need("end")]
            return Encoded([*asked, *told], [False] * len(asked) + [True] * len(told))
        turns = [*prompt, Message("assistant", answer)]
        text, spans = self._spans(turns)
        wanted = [
            span
            for number, (turn, span) in enumerate(zip(turns, spans, strict=True))
            if turn.role == "assistant" and (number == len(turns) - 1 or not last_only)
        ]
        with encoding():
            found = self.tokenizer.encode(text, add_special_tokens=False)
        inside = [any(start <= first < stop for start, stop in wanted) for first, _ in found.offsets]
        return Encoded(found.ids, inside)

    def parts(self, example: Example) -> list[Encoded]:
        """What is learned from an example: one answer, or the better one and the worse one."""
        if not example.is_preference:
            return [self.encode(example.prompt, example.answer)]
        return [self.encode(example.prompt, said, last_only=True) for said in (example.answer, example.rejected)]

    def ask(self, turns: Sequence[Message]) -> list[int]:
        """The tokens of some turns, up to where the next answer begins."""
        self._refuse_special(*(said for turn in turns for said in (turn.role, turn.content)))
        tokens = self._ids(self.render(turns, asking=True))
        return [*tokens, self.vocabulary.need("end")] if self.text_to_text else tokens

    def _ids(self, text: str) -> list[int]:
        whole = text.encode("utf-8", "replace").decode()  # a command line may bring half a character
        with encoding():
            return list(self.tokenizer.encode(whole, add_special_tokens=False).ids)

    def _refuse_special(self, *said: str) -> None:
        if spelled := next((token for token in self._special if any(token in text for text in said)), None):
            raise BadInput(f"it spells the special token {printable(spelled)}")

    def _spans(self, turns: Sequence[Message]) -> tuple[str, list[tuple[int, int]]]:
        """The turns as one text, and where in it each is said, an answer with the end token behind it."""
        places = [Message(turn.role, _PLACE.format(number)) for number, turn in enumerate(turns)]
        between = _PLACES.split(self.render(places))
        if between[1::2] != [str(number) for number in range(len(turns))]:
            raise BadInput("the chat template does not say every turn once, in order")
        text, spans = between[0], []
        for turn, after in zip(turns, between[2::2], strict=True):
            end = next((token for token in self._special if after.startswith(token)), "")
            if turn.role == "assistant" and not end:
                raise BadInput("the chat template does not close an answer with a special token")
            spans.append((len(text), len(text) + len(turn.content) + len(end)))
            text += turn.content + after
        if text != self.render(turns):
            raise BadInput("the chat template changes what is said (it may cut spaces off)")
        return text, spans


def load_chat(folder: Path) -> Chat | None:
    """The tokenizer in `folder` with its chat template; None if it has none."""
    template = chat_template(folder)
    return Chat(load_tokenizer(folder), load_vocabulary(folder), template) if template else None


def chat_template(folder: Path) -> str | None:
    """The template of the tokenizer in `folder`: chat_template.jinja, or what tokenizer_config.json says; None if it
    has none."""
    beside, about = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if beside.is_file():
        if beside.stat().st_size > _LARGEST:
            raise BadInput(f"{beside}: larger than {_LARGEST >> 10} KB")
        try:
            return beside.read_text("utf-8")
        except ValueError as error:
            raise BadInput(f"{beside}: not a text in UTF-8") from error
    table = read_json(about) if about.is_file() else {}
    found = table.get("chat_template") if isinstance(table, dict) else None
    if isinstance(found, list):  # several, by name
        named = [row.get("template") for row in found if isinstance(row, dict) and row.get("name") == "default"]
        found = named[-1] if named else None
    return found if isinstance(found, str) and len(found) <= _LARGEST else None
