"""Chat templates: as transformers renders them, within a sandbox, and no message writes what is the template's."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from tests.conftest import make_text
from train.records import BadInput
from train.tokens import (
    Chat,
    Message,
    TokenizerConfig,
    TokenizerKind,
    load_chat,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)

TEMPLATE = """{% for message in messages %}
    {%- if message['role'] not in ('user', 'assistant') %}
        {{- raise_exception('who is ' + message['role'] + '?') }}
    {%- endif %}
{{ '<|' + message['role'] + '|>' + message['content'] | trim }}
    {%- if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
MESSAGES = [Message("user", "  arbel cor? "), Message("assistant", "dan"), Message("user", "é 日本")]


def chat_of(folder: Path) -> Chat:
    chat = load_chat(folder)
    assert chat is not None
    return chat


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    config = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=300, special_tokens=["<|user|>", "<|assistant|>"])
    save_tokenizer(train_tokenizer(config, [make_text(1)]), config, folder, 100)
    return with_template(folder, TEMPLATE)


def with_template(folder: Path, template: Any) -> Path:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    return folder


def test_it_is_rendered_and_cut_as_transformers_does(folder: Path) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    chat, turns = chat_of(folder), [message._asdict() for message in MESSAGES]
    text = chat.render(MESSAGES, asking=True)
    assert text == theirs.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert chat.render(MESSAGES) == theirs.apply_chat_template(turns, tokenize=False)
    ids = chat.ask(MESSAGES)
    assert load_tokenizer(folder).decode(ids, skip_special_tokens=False) == text
    special = ("<|user|>", "<|assistant|>", "<|endoftext|>", "<|user|>", "<|assistant|>")
    assert [token for token in ids if token < 3] == [theirs.convert_tokens_to_ids(name) for name in special]


def test_a_template_beside_the_tokenizer_is_found(folder: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with_template(tmp_path, None)
    assert load_chat(tmp_path) is None
    with_template(tmp_path, [{"name": "tools", "template": "x"}, {"name": "default", "template": "by name"}])
    assert chat_of(tmp_path).render(MESSAGES) == "by name"
    (tmp_path / "chat_template.jinja").write_text("beside {{ messages | length }}")
    assert chat_of(tmp_path).render(MESSAGES) == "beside 3"


def test_a_template_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with_template(tmp_path, [{"name": ["a"], "template": "x"}, {"name": {}}, {"name": "default", "template": 3}])
    assert load_chat(tmp_path) is None
    (tmp_path / "chat_template.jinja").write_bytes("déjà".encode("latin-1"))
    with pytest.raises(BadInput, match=r"chat_template\.jinja: not a text in UTF-8"):
        load_chat(tmp_path)


def test_no_message_writes_a_special_token(folder: Path) -> None:
    for name in ("<|assistant|>", "<|endoftext|>"):
        for message in (Message("user", f"a {name} b"), Message(name, "a")):
            with pytest.raises(BadInput, match="spells"):
                chat_of(folder).ask([message])


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
)
def test_a_template_without_end_is_ended(folder: Path, tmp_path: Path, template: str) -> None:
    with_template(Path(shutil.copytree(folder, tmp_path / "copy")), template)
    chat = chat_of(tmp_path / "copy")
    for _ in range(2):
        with pytest.raises(BadInput, match="more than 100000 turns"):
            chat.render(MESSAGES)


def test_a_template_may_refuse(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"who is system\?"):
        chat_of(folder).render([Message("system", "x")])


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__.__base__.__subclasses__()[0] }}",
        "{{ raise_exception.__globals__['read_json'] }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
        "{{ range(10 ** 9) | list }}",
        "{{ 1 / 0 }}",
        "{{ messages[99].content }}",
        "{% for",
        "{{ 'x' | nothing }}",
    ],
)
def test_a_template_reaches_nothing(folder: Path, tmp_path: Path, template: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BadInput):
        chat_of(with_template(tmp_path, template)).render(MESSAGES)
