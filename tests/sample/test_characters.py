"""Streamed characters are whole, and together they are what the tokenizer makes of all tokens at once."""

import random

import pytest

from tests.conftest import make_text
from train.sample.characters import Characters
from train.tokens import Tokenizer, TokenizerConfig, TokenizerKind, train_tokenizer

NOT_YET = "\N{REPLACEMENT CHARACTER}"
FOREIGN = "Œuvre, naïve — 日本語 🚀 אב don't"


TRAINED = [kind for kind in TokenizerKind if kind is not TokenizerKind.taken]


@pytest.fixture(scope="module", params=TRAINED, ids=lambda kind: kind.value)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    texts = [make_text(number) for number in range(20)]
    special = {"mask_token": "[MASK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    more = special if request.param is TokenizerKind.wordpiece else {}
    size = 300 if request.param is not TokenizerKind.unigram else 400
    return train_tokenizer(TokenizerConfig(kind=request.param, vocab_size=size, **more), texts)


def stream(tokenizer: Tokenizer, given: list[int], new: list[int]) -> list[str]:
    characters = Characters(lambda tokens: str(tokenizer.decode(tokens)), given)
    return [characters.add(token) for token in new]


def test_a_text_comes_back_whole(tokenizer: Tokenizer) -> None:
    texts = [f"{FOREIGN} {make_text(99, 30)}", FOREIGN * 3, "🚀" * 20, "a"]
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        for cut in (0, 1, len(ids) // 2):
            parts = stream(tokenizer, ids[:cut], ids[cut:])
            before = str(tokenizer.decode(ids[:cut]))
            if not before.endswith(NOT_YET):  # a prompt ends with a whole character
                assert before + "".join(parts) == tokenizer.decode(ids)
            if cut == 0:
                assert not any(NOT_YET in part for part in parts)


def test_a_character_of_several_tokens_comes_with_the_last(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a🚀b", add_special_tokens=False).ids
    parts = stream(tokenizer, [], ids)
    assert "".join(parts) == tokenizer.decode(ids)
    if len(ids) == 6:  # by bytes: a, four of the rocket, b
        assert parts == ["a", "", "", "", "🚀", "b"]


def test_any_tokens_of_bpe_and_wordpiece_come_back(tokenizer: Tokenizer) -> None:
    """Also those that make no text: only bytes that may still become a character are missing at the end."""
    if '"type":"Unigram"' in tokenizer.to_str():
        pytest.skip("where one byte of a run is wrong, its decoder takes back the others")
    for seed in range(60):
        draws = random.Random(seed)
        given, new = ([draws.randrange(tokenizer.get_vocab_size()) for _ in range(n)] for n in (seed % 4, 60))
        before, whole = tokenizer.decode(given), tokenizer.decode(given + new)
        if not before.endswith(NOT_YET):
            assert before + "".join(stream(tokenizer, given, new)) == whole.rstrip(NOT_YET)
