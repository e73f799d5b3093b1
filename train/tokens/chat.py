"""Conversations as tokens: the chat template that stands beside a tokenizer, in Jinja, as the ecosystem has it.

A template comes from outside, with the model. It is rendered in Jinja's sandbox, where it can read what it is given and
reach nothing else; that it comes to an end is not sure.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from train.records import BadInput, printable, read_json
from train.tokens.tokenizer import load_tokenizer

_LARGEST = 2**18  # bytes of a template


def chat_template(folder: Path) -> str | None:
    """The template of the tokenizer in `folder`: chat_template.jinja, or what tokenizer_config.json says; None if it
    has none."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        if beside.stat().st_size > _LARGEST:
            raise BadInput(f"{beside}: larger than {_LARGEST >> 10} KB")
        return beside.read_text("utf-8")
    found = _config(folder).get("chat_template")
    if isinstance(found, list):  # several, by name
        named = {row.get("name"): row.get("template") for row in found if isinstance(row, dict)}
        found = named.get("default")
    return found if isinstance(found, str) and len(found) <= _LARGEST else None


def render_chat(folder: Path, messages: Sequence[Mapping[str, str]]) -> str:
    """The text that asks for the next answer. `messages`: {"role": "user", "content": "..."} and so on.

    Raises BadInput where there is no template, or where it refuses these messages.
    """
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = chat_template(folder)
    if template is None:
        raise BadInput(f"{folder.name}: has no chat template: it goes on with texts, and was not tuned to converse")
    sandbox = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    sandbox.globals["raise_exception"] = _refuse
    try:
        text = sandbox.from_string(template).render(
            messages=[dict(message) for message in messages], add_generation_prompt=True, **_special(folder)
        )
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"the chat template cannot be filled in: {printable(str(error))[:200]}") from error
    return str(text)


def encode_chat(folder: Path, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """The tokens of `render_chat`, special ones as the template writes them.

    Raises BadInput where a message spells one of these: it could pretend to be another's.
    """
    tokenizer = load_tokenizer(folder)
    text = render_chat(folder, messages)
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    for message in messages:
        for name in special:
            if name in message["content"] or name in message["role"]:
                raise BadInput(f"a message spells {name}, which only the chat template may write")
    tokenizer.encode_special_tokens = False
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _special(folder: Path) -> dict[str, str]:
    """bos_token, eos_token and so on, by these names."""
    found: dict[str, str] = {}
    for name, value in _config(folder).items():
        text = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(text, str):
            found[name] = text
    return found


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    return config if isinstance(config, dict) else {}


def _refuse(reason: str) -> NoReturn:
    raise BadInput(f"the chat template refuses these messages: {printable(str(reason))[:200]}")
