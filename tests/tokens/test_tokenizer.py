"""Tokenizers: the same documents give the same bytes, and what does not fit is an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, make_text
from tests.documents.test_rules import document
from train.documents import Classified
from train.records import BadInput
from train.tokens import (
    Chat,
    Marker,
    Message,
    TokenizerConfig,
    TokenizerKind,
    encode_document,
    load_tokenizer,
    load_vocabulary,
    save_tokenizer,
    texts_to_learn,
    train_tokenizer,
)
from train.tokens.tokenizer import split_text

TEXTS = [make_text(n) for n in range(30)]

SCRIPT = """
import sys
from pathlib import Path
from tests.conftest import make_text
from train.tokens import TokenizerConfig, TokenizerKind, save_tokenizer, train_tokenizer
config = TokenizerConfig(kind=TokenizerKind(sys.argv[1]), vocab_size=int(sys.argv[2]))
tokenizer = train_tokenizer(config, (make_text(n) for n in range(30)))
print(save_tokenizer(tokenizer, config, Path(sys.argv[3]), 64))
"""


@pytest.mark.parametrize(("kind", "size"), [("bpe", 400), ("unigram", 330), ("wordpiece", 200)])
def test_trained_again_it_is_the_same(tmp_path: Path, kind: str, size: int) -> None:
    found = set()
    for seed in ("0", "1"):
        out = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": str(1 + int(seed))}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, kind, str(size), str(out)],
            capture_output=True, text=True, check=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        found.add((done.stdout.strip(), (out / "tokenizer.json").read_bytes()))
    assert len(found) == 1


def test_of_a_large_corpus_a_part_is_learned_from() -> None:
    documents = [document(text) for text in TEXTS * 20 + [f"{n} {text}" for n in range(30) for text in TEXTS]]
    total = sum(each.n_bytes for each in documents)

    def learned(train_bytes: int, order: int) -> set[str]:
        config = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=400, train_bytes=train_bytes)
        return set(texts_to_learn(config, documents[::order], total))

    assert learned(total, 1) == {each.text for each in documents}
    some = learned(total // 3, 1)
    assert some == learned(total // 3, -1)
    assert total / 4 < sum(each.n_bytes for each in documents if each.text in some) < total / 2.4


@pytest.mark.parametrize(("kind", "size"), [("bpe", 400), ("unigram", 330)])
@pytest.mark.parametrize("text", ["Fellow  citizens,\n\n of 1900:", "é ☃ \U0001d518\t!", "", " a", "<|endoftext|>x"])
def test_every_byte_comes_back(kind: str, size: int, text: str) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind=TokenizerKind(kind), vocab_size=size), TEXTS)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert tokenizer.get_vocab_size() == size
    assert tokenizer.token_to_id("<|endoftext|>") not in ids
    assert max(ids, default=0) < size


def test_wordpiece_matches_the_longest_piece() -> None:
    config = TokenizerConfig(kind=TokenizerKind.wordpiece, vocab_size=200, lowercase=True)
    tokenizer = train_tokenizer(config, TEXTS)
    pieces = tokenizer.encode(make_text(3), add_special_tokens=False).tokens
    assert any(piece.startswith("##") for piece in pieces)
    assert "[UNK]" not in pieces
    assert tokenizer.encode("ARBEL").ids == tokenizer.encode("arbel").ids


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_a_corpus_too_small_for_the_vocabulary(kind: str) -> None:
    with pytest.raises(BadInput, match="too small"):
        train_tokenizer(TokenizerConfig(kind=TokenizerKind(kind), vocab_size=5000), ["one two three"])


def test_pieces_give_the_tokens_of_the_whole() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=400), TEXTS)
    text = " ".join(TEXTS[:5]).replace(". ", ".  \n ")
    pieces = list(split_text(text, 300))
    assert len(pieces) > 10
    assert "".join(pieces) == text
    apart = [i for piece in pieces for i in tokenizer.encode(piece, add_special_tokens=False).ids]
    assert apart == tokenizer.encode(text, add_special_tokens=False).ids


def test_a_word_without_end_is_cut() -> None:
    assert max(map(len, split_text("x" * 1_000_000, 1000))) == 16_000
    assert "".join(split_text("x" * 100_001, 1000)) == "x" * 100_001


def test_not_a_tokenizer(tmp_path: Path) -> None:
    config = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=400)
    save_tokenizer(train_tokenizer(config, TEXTS), config, tmp_path, 64)
    assert load_tokenizer(tmp_path).get_vocab_size() == 400
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(BadInput, match="not a tokenizer"):
        load_tokenizer(tmp_path)


def _replace(pattern: dict[str, str], content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": pattern, "content": content}


@pytest.mark.parametrize(
    ("part", "stated", "says"),
    [
        ("normalizer", {"type": "Sequence", "normalizers": [_replace({"String": "e"}, "ee")] * 40}, "times as long"),
        ("decoder", {"type": "Sequence", "decoders": [_replace({"Regex": "e"}, "e" * 9)] * 2}, "times as long"),
        ("normalizer", _replace({"String": ""}, "x"), "replaces what is no character"),
        (
            "post_processor",
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}], "pair": [],
             "special_tokens": {}},
            "names '\\[X\\]'",
        ),
    ],
)  # fmt: skip
def test_a_tokenizer_that_states_what_no_text_needs(
    tmp_path: Path, part: str, stated: dict[str, object], says: str
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=400)
    save_tokenizer(train_tokenizer(config, TEXTS), config, tmp_path, 64)
    about = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**about, part: stated}), "utf-8")
    with pytest.raises(BadInput, match=says):
        load_tokenizer(tmp_path)


def test_a_tokenizer_that_has_no_token_for_a_word(tmp_path: Path) -> None:
    """It is read, and `tokenizers` raises a bare Exception at the word."""
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    config = TokenizerConfig(kind=TokenizerKind.wordpiece, vocab_size=200, **special)
    save_tokenizer(train_tokenizer(config, TEXTS), config, tmp_path, 64)
    about = json.loads((tmp_path / "tokenizer.json").read_text())
    about["model"]["unk_token"] = "nothing"
    (tmp_path / "tokenizer.json").write_text(json.dumps(about))
    tokenizer, vocabulary = load_tokenizer(tmp_path), load_vocabulary(tmp_path)
    chat = Chat(tokenizer, vocabulary, "{% for m in messages %}{{ m.content }}[SEP]{% endfor %}")
    for encode in (
        lambda: list(encode_document(tokenizer, "日本")),
        lambda: chat.ask([Message("user", "日本")]),
        lambda: chat.encode([Message("user", "日本")], "日本"),
        lambda: Marker(tokenizer, vocabulary).encode(Classified("日本", "a")),
    ):
        with pytest.raises(BadInput, match="the tokenizer cannot encode this"):
            encode()


def test_what_a_file_says_of_padding_and_length_changes_no_text(release: Path, tmp_path: Path) -> None:
    """As files of sentence encoders do."""
    plain = load_tokenizer(release)
    stated = json.loads((release / "tokenizer.json").read_text("utf-8"))
    stated["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    stated["padding"] = {
        "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "x",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(stated), "utf-8")
    text = "Cor dela bel arin. " * 5
    assert load_tokenizer(tmp_path).encode(text).ids == plain.encode(text).ids
