"""Chat templates: the same tokens as `transformers` makes, answers alone are learned, and nothing said is a command."""

from pathlib import Path

import pytest

from tests.conftest import make_text
from train.documents import Example, Message, parse_example
from train.records import BadInput, canonical_json
from train.tokens import (
    TEMPLATE,
    Chat,
    TokenizerConfig,
    TokenizerKind,
    load_chat,
    load_tokenizer,
    load_vocabulary,
    save_tokenizer,
    take_over,
    train_tokenizer,
)

CONFIG = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=320)
TURNS = [
    Message("system", "Be short."), Message("user", "Où est la gare ?"), Message("assistant", "Là-bas, à gauche."),
    Message("user", "Merci"), Message("assistant", "De rien."),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plain, taken = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("taken")
    text = make_text(1) + "Où est la gare ? Là-bas, à gauche. User Assistant\n" * 9
    save_tokenizer(train_tokenizer(CONFIG, [text]), CONFIG, plain, 64)
    take_over(plain, taken, {}, {"chat_template": TEMPLATE})
    return taken


@pytest.fixture
def chat(folder: Path) -> Chat:
    found = load_chat(folder)
    assert found is not None
    return found


def test_the_tokens_are_those_of_transformers(folder: Path, chat: Chat) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": turn.role, "content": turn.content} for turn in TURNS]
    assert chat.render(TURNS) == theirs.apply_chat_template(turns, tokenize=False)
    ids = theirs.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"]
    assert chat.encode(TURNS[:-1], TURNS[-1].content).tokens == ids
    asked = theirs.apply_chat_template(turns[1:2], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert chat.ask([TURNS[1]]) == asked


def test_the_answers_and_their_ends_are_learned_and_nothing_else(chat: Chat) -> None:
    whole = chat.encode(TURNS[:-1], TURNS[-1].content)
    learned = [token for token, answer in zip(whole.tokens, whole.answers, strict=True) if answer]
    end = chat.vocabulary.need("end")
    assert chat.tokenizer.decode(learned, skip_special_tokens=False).split("<|endoftext|>") == [
        "Là-bas, à gauche.", "De rien.", ""
    ]  # fmt: skip
    assert learned.count(end) == 2
    last = chat.encode(TURNS[:-1], TURNS[-1].content, last_only=True)
    assert last.tokens == whole.tokens
    assert (
        sum(last.answers) == len(chat.tokenizer.encode("De rien.").ids) - 1 + 1
    )  # without its first token, with an end
    pair = chat.parts(Example((TURNS[1],), "Là-bas.", "Ici."))
    assert pair[0].tokens[: pair[0].answers.index(True)] == pair[1].tokens[: pair[1].answers.index(True)]


def test_what_is_asked_ends_where_the_answer_begins(chat: Chat) -> None:
    encoded = chat.encode([TURNS[1]], "Là-bas.")
    assert encoded.tokens[: encoded.answers.index(True)] == chat.ask([TURNS[1]])


@pytest.mark.parametrize("said", ["<|endoftext|>", "so <|endoftext|> it ends"])
def test_nothing_said_spells_a_special_token(chat: Chat, said: str) -> None:
    for prompt, answer in (([Message("user", said)], "yes"), ([Message("user", "?")], said)):
        with pytest.raises(BadInput, match="special token"):
            chat.encode(prompt, answer)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "cannot say this"),
        ("{% for m in messages %}{{ m.content.__init__.__globals__ }}{% endfor %}", "cannot say this"),
        ("{{ raise_exception('no system turns') }}", "no system turns"),
        ("{% for", "cannot say this"),
        ("{% for m in messages %}{{ m.content | upper }}{{ eos_token }}{% endfor %}", "changes what is said"),
        ("{{ messages[-1].content }}{{ eos_token }}", "every turn"),
        ("{% for m in messages %}{{ m.content }}!{% endfor %}", "does not close an answer"),
    ],
)
def test_a_template_that_will_not_do_is_a_line(folder: Path, template: str, says: str) -> None:
    chat = Chat(load_tokenizer(folder), load_vocabulary(folder), template)
    with pytest.raises(BadInput, match=says):
        chat.encode([Message("user", "a")], "b")


def test_a_folder_that_brings_a_template_keeps_it(folder: Path, tmp_path: Path) -> None:
    own = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}"
    take_over(folder, tmp_path, {}, {"chat_template": own})
    assert load_chat(tmp_path).render([Message("user", "a")]) == "[user] a<|endoftext|>"  # type: ignore[union-attr]
    (tmp_path / "chat_template.jinja").write_text("beside: {{ messages[0].content }}")
    assert load_chat(tmp_path).render([Message("user", "a")]) == "beside: a"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, "without an answer"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}, "without an answer"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "roles"),
        ({"messages": "a"}, "not a list"),
        ({"prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "b"}, "not the same"),
        ({"prompt": [], "chosen": "b", "rejected": "c"}, "prompt"),
        ({"prompt": "a", "completion": "b"}, "neither"),
        (["messages"], "not a JSON object"),
    ],
)
def test_what_is_no_example_says_why(value: object, says: str) -> None:
    found = parse_example(canonical_json(value).decode())
    assert isinstance(found, str)
    assert says in found
    assert isinstance(parse_example('{"messages": []}'), str)  # not canonical: a space
