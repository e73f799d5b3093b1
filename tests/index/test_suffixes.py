"""The suffix array beside a search through the whole text."""

from pathlib import Path

import numpy as np
import pytest

from train.index import Index, build_index, open_index
from train.numerics import uniform_integers
from train.records import BadInput, write_json
from train.tokens import TokenStore, token_dtype


def store_of(tokens: np.ndarray, vocabulary: int, folder: Path) -> TokenStore:
    from train.records import digest_file

    folder.mkdir(parents=True, exist_ok=True)
    half = len(tokens) // 2
    shards = []
    for number, part in enumerate((tokens[:half], tokens[half:])):
        name = f"train-{number:05d}.bin"
        part.astype(token_dtype(vocabulary)).tofile(folder / name)
        shards.append({"file": name, "tokens": len(part), "sha256": digest_file(folder / name)})
    np.save(folder / "train-offsets.npy", np.array([0, len(tokens)], "<i8"))
    index = {
        "dtype": token_dtype(vocabulary), "vocab_size": vocabulary, "digest": "d", "shards": shards,
        "offsets_sha256": digest_file(folder / "train-offsets.npy"),
    }  # fmt: skip
    write_json(folder / "train-index.json", index)
    return TokenStore(folder, "train")


def made(tokens: np.ndarray, vocabulary: int, folder: Path) -> Index:
    build_index(store_of(tokens, vocabulary, folder), folder)
    return open_index(folder, "d")


def longest_by_hand(text: list[int], query: list[int], start: int) -> int:
    best = 0
    for place in range(len(text)):
        common = 0
        while (
            start + common < len(query) and place + common < len(text) and text[place + common] == query[start + common]
        ):
            common += 1
        best = max(best, common)
    return best


@pytest.mark.parametrize("vocabulary", [3, 300, 70_000])
def test_the_array_is_sorted_and_the_longest_are_the_longest(tmp_path: Path, vocabulary: int) -> None:
    letters = min(vocabulary, 300)
    scale = vocabulary // letters
    tokens = (uniform_integers(400, 5, vocabulary) % np.uint64(letters)).astype(np.int64) * scale
    tokens[300:330] = tokens[100:130]
    index = made(tokens, vocabulary, tmp_path)
    text = tokens.tolist()
    assert index.suffixes.tolist() == sorted(range(len(text)), key=lambda place: text[place:])
    query = np.concatenate([tokens[95:140], (uniform_integers(30, 6) % np.uint64(letters)).astype(np.int64) * scale])
    found = index.longest(query).tolist()
    assert found == [longest_by_hand(text, query.tolist(), start) for start in range(len(query))]


def test_passages_are_the_longest_and_in_no_other(tmp_path: Path) -> None:
    tokens = (uniform_integers(2000, 8) % np.uint64(1000)).astype(np.int64)
    tokens[1500:1520] = tokens[200:220]
    index = made(tokens, 1000, tmp_path)
    query = np.concatenate([[7, 8, 9], tokens[205:215], [1, 2], tokens[700:750], [3]])
    passages = index.passages(query, 5)
    assert [(p.start, p.length, p.count) for p in passages] == [(15, 50, 1), (3, 10, 2)]
    assert passages[0].places == (700,)
    assert passages[1].places == (205, 1505)
    whole = index.passages(tokens, 5)
    assert whole[0].length == 2000


def test_the_end_of_the_text_and_of_the_query(tmp_path: Path) -> None:
    index = made(np.array([5, 5, 5, 5]), 10, tmp_path)
    assert index.longest(np.array([5, 5, 5, 5, 5, 5])).tolist() == [4, 4, 4, 3, 2, 1]
    assert index.longest(np.array([9])).tolist() == [0]
    assert index.longest(np.array([0])).tolist() == [0]
    assert index.find(np.array([5, 5]), np.array([0]), np.array([2]), 10)[0].count == 3


def test_six_bytes_a_token_and_a_damaged_index_is_found(tmp_path: Path) -> None:
    made(np.arange(1000) % 50, 50, tmp_path)
    assert (tmp_path / "tokens.bin").stat().st_size + (tmp_path / "suffixes.bin").stat().st_size == 6000
    with pytest.raises(BadInput, match="another text"):
        open_index(tmp_path, "other")
    with (tmp_path / "suffixes.bin").open("r+b") as file:
        file.truncate(3996)
    with pytest.raises(BadInput, match="cut short"):
        open_index(tmp_path, "d")


@pytest.mark.parametrize("at_least", [1, 3, 6])
def test_what_lies_in_passages_is_what_n_grams_cover(tmp_path: Path, at_least: int) -> None:
    text = (uniform_integers(500, 8) % np.uint64(4)).astype(np.int64)
    query = (uniform_integers(120, 9) % np.uint64(4)).astype(np.int64)
    grams = {tuple(text[i : i + at_least]) for i in range(len(text) - at_least + 1)}
    covered = [False] * len(query)
    for start in range(len(query) - at_least + 1):
        if tuple(query[start : start + at_least]) in grams:
            covered[start : start + at_least] = [True] * at_least
    assert made(text, 4, tmp_path).inside(query, at_least).tolist() == covered
