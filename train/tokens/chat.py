"""Chat templates: how turns become one text that an answer goes on with.

A template is a Jinja text in tokenizer_config.json, where the ecosystem keeps it. It comes from outside: it is rendered
in jinja2's sandbox (that it comes to an end is not sure), and what is said in a turn can spell no special token.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from train.records import BadInput, printable, read_json
from train.tokens.tokenizer import load_tokenizer
from train.tokens.vocabulary import Vocabulary, load_vocabulary


class Message(NamedTuple):
    """What somebody said: `role` is user, assistant, or another that the template knows."""

    role: str
    content: str


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
    def _compiled(self) -> Any:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: object) -> None:
            raise TemplateError(str(message))

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = refuse
        return environment.from_string(self.template)

    def render(self, messages: Sequence[Message], *, asking: bool = False) -> str:
        """The turns as one text; `asking` ends it where an answer begins. Raises BadInput if the template refuses."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        given = {"messages": turns, "add_generation_prompt": asking, **self.names()}
        try:
            return str(self._compiled.render(given))
        except Exception as error:  # a template is a program, and may raise anything
            raise BadInput(f"the chat template cannot say this: {printable(str(error))[:120]}") from error

    def names(self) -> dict[str, str]:
        """bos_token, eos_token and their like, as templates call them."""
        return {
            name.replace("_id", ""): str(self.tokenizer.id_to_token(number))
            for name, number in self.vocabulary.hugging_face().items()
        }

    def ask(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, up to where the next answer begins."""
        for said in (part for message in messages for part in message):
            if spelled := next((token for token in self._special if token in said), None):
                raise BadInput(f"it spells the special token {printable(spelled)}")
        tokens = list(self.tokenizer.encode(self.render(messages, asking=True), add_special_tokens=False).ids)
        return [*tokens, self.vocabulary.need("end")] if self.text_to_text else tokens


def load_chat(folder: Path) -> Chat | None:
    """The tokenizer in `folder` with its chat template; None if it has none."""
    template = read_template(folder)
    return Chat(load_tokenizer(folder), load_vocabulary(folder), template) if template else None


def read_template(folder: Path) -> str:
    """The chat template of the tokenizer in `folder`, from its own file or tokenizer_config.json; "" if it has none."""
    beside, about = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    try:
        if beside.is_file():
            return beside.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"{beside}: cannot be read as text ({error})") from error
    table = read_json(about) if about.is_file() else {}
    found = table.get("chat_template") if isinstance(table, dict) else None
    if isinstance(found, list):  # several, by name
        named = {row.get("name"): row.get("template") for row in found if isinstance(row, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else ""
