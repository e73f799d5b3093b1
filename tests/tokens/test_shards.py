"""Shards: what was written is read back, across shards, and a damaged one is found before it is trained on."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import make_text
from tests.documents.test_rules import document
from train.records import BadInput
from train.tokens import (
    TokenizerConfig,
    TokenizerKind,
    TokenStore,
    shards,
    token_dtype,
    train_tokenizer,
    write_shards,
)

DOCUMENTS = [document(make_text(n), id=f"s/{n}", language="en") for n in range(12)]
CONFIG = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=400)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CONFIG, [d.text for d in DOCUMENTS])


def write(folder: Path, tokenizer, **more) -> dict:
    return write_shards(DOCUMENTS, tokenizer, CONFIG.opens, folder, "train", lambda _: None, **more)


def expected(tokenizer) -> np.ndarray:
    ids = [[0, *tokenizer.encode(d.text, add_special_tokens=False).ids] for d in DOCUMENTS]
    return np.concatenate([np.array(i) for i in ids])


@pytest.mark.parametrize("shard_tokens", [10**9, 700, 1])
def test_what_was_written_is_read_back(tmp_path: Path, tokenizer, shard_tokens: int) -> None:
    index = write(tmp_path, tokenizer, shard_tokens=shard_tokens)
    store, tokens = TokenStore(tmp_path, "train"), expected(tokenizer)
    assert len(store) == index["tokens"] == len(tokens)
    np.testing.assert_array_equal(store.read(0, len(store)), tokens)
    for start in range(0, len(tokens) - 50, 331):
        np.testing.assert_array_equal(store.read(start, start + 50), tokens[start : start + 50])
    assert [int(d[0]) for d in store.documents()] == [0] * 12
    np.testing.assert_array_equal(store.document_at(store.offsets[:-1]), np.arange(12))
    np.testing.assert_array_equal(store.document_at(store.offsets[1:] - 1), np.arange(12))


def test_documents_encoded_together_have_their_own_tokens(tmp_path: Path, tokenizer, monkeypatch) -> None:
    """However batches and pieces fall: short texts and empty ones share a batch, a long one takes several."""
    monkeypatch.setattr(shards, "_CHARACTERS_AT_ONCE", 100_000)
    long = "\n".join(make_text(n) for n in range(40)) * 8
    texts = ["", "a", "", long, "no space " * 3, long[:70_000], ""]
    documents = [document(text, id=f"s/{n}") for n, text in enumerate(texts)]
    write_shards(documents, tokenizer, CONFIG.opens, tmp_path, "train", lambda _: None)
    found = [list(tokens) for tokens in TokenStore(tmp_path, "train").documents()]
    assert found == [[0, *tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]


def test_tokens_are_made_no_further_ahead_than_two_batches(tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(shards, "_CHARACTERS_AT_ONCE", 1000)
    read = []

    def source():
        for number in range(100):
            read.append(number)
            yield document("word " * 50, id=f"s/{number}")

    for number, (_, parts) in enumerate(shards.encode_documents(tokenizer, source())):
        assert sum(map(len, parts)) > 0
        assert len(read) <= number + 1 + 2 * 4


def test_bytes_per_token(tmp_path: Path, tokenizer) -> None:
    index = write(tmp_path, tokenizer)
    per_token = sum(d.n_bytes for d in DOCUMENTS) / (index["tokens"] - 12)
    assert index["bytes_per_token"]["language"]["en"] == pytest.approx(per_token, abs=1e-3)


def test_a_vocabulary_that_does_not_fit_is_an_error() -> None:
    assert token_dtype(2**16) == "<u2"
    assert token_dtype(2**16 + 1) == "<u4"
    with pytest.raises(BadInput, match="does not fit"):
        token_dtype(2**32 + 1)
    with pytest.raises(OverflowError):
        np.asarray([70_000], token_dtype(2**16))


@pytest.mark.parametrize("name", ["train-00000.bin", "train-offsets.npy"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_file_is_found(tmp_path: Path, tokenizer, name: str, damage: str) -> None:
    write(tmp_path, tokenizer)
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-10])
    elif damage == "flip":
        data[-5] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
    with pytest.raises(BadInput, match="run again to remake it"):
        TokenStore(tmp_path, "train")


def test_a_document_takes_few_bytes_of_memory(tmp_path: Path) -> None:
    count = 50_000
    tracemalloc.start()
    shards.write_encoded(((DOCUMENTS[0], [[n % 400]]) for n in range(count)), 400, tmp_path, "train", lambda _: None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * count + 200_000  # an offset is 8 bytes; a list of numbers would hold five times as many
