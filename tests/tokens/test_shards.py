"""Shards: what was written is read back, across shards, and a damaged one is found before it is trained on."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import make_text
from tests.documents.test_rules import document
from train.records import BadInput
from train.tokens import TokenizerConfig, TokenizerKind, TokenStore, token_dtype, train_tokenizer, write_shards

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
