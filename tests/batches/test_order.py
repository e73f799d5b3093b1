"""The order of the sequences: a pure function, and in every epoch a permutation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tokens.test_shards import CONFIG, DOCUMENTS
from train.batches import Sequences, load_batches, order
from train.batches.objectives import Causal
from train.numerics import permute, uniform_integers
from train.records import BadInput
from train.tokens import TokenStore, train_tokenizer, write_shards


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 4097])
def test_permute_is_a_permutation(size: int) -> None:
    sent = permute(np.arange(size), size, 5)
    np.testing.assert_array_equal(np.sort(sent), np.arange(size))
    if size > 50:
        assert (sent == np.arange(size)).mean() < 0.1
        assert (permute(np.arange(size), size, 6) != sent).any()


def test_known_values_hold_on_every_machine() -> None:
    assert uniform_integers(3, 1, 2).tolist() == KNOWN_INTEGERS
    assert order(0, 3, sequences=1000, sequences_per_step=4).tolist() == KNOWN_ORDER


# splitmix64 by hand, in plain Python integers
KNOWN_INTEGERS: list[int] = [16613338946343043936, 5167718485781182436, 139405959784801653]
KNOWN_ORDER: list[int] = [471, 359, 207, 617]


@pytest.mark.parametrize(("sequences", "per_step"), [(10, 4), (10, 3), (5, 12), (100, 8)])
def test_every_epoch_sees_every_sequence_once(sequences: int, per_step: int) -> None:
    steps = 3 * sequences
    seen = np.concatenate([order(1, step, sequences=sequences, sequences_per_step=per_step) for step in range(steps)])
    epochs = seen.reshape(-1, sequences)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(sequences))
    if sequences > 5:
        assert (epochs[0] != epochs[1]).any()


@pytest.fixture
def sequences(tmp_path: Path) -> Sequences:
    tokenizer = train_tokenizer(CONFIG, [d.text for d in DOCUMENTS])
    write_shards(DOCUMENTS, tokenizer, CONFIG.opens, tmp_path, "train", lambda _: None)
    return Sequences(TokenStore(tmp_path, "train"), 32, Causal(), with_documents=True)


def test_targets_are_the_next_tokens_and_documents_their_places(sequences: Sequences) -> None:
    batch = sequences.batch(np.array([0, len(sequences) - 1, 7]), 0, 0)
    tokens = batch.inputs["tokens"]
    np.testing.assert_array_equal(tokens[:, 1:], batch.targets[:, :-1])
    np.testing.assert_array_equal(tokens[2], sequences.store.read(7 * 32, 8 * 32))
    for row in range(3):
        steps = np.diff(batch.inputs["documents"][row])
        np.testing.assert_array_equal(steps == 1, tokens[row, 1:] == 0)


def test_a_loader_started_late_gives_the_same_batches(sequences: Sequences) -> None:
    whole = list(load_batches(sequences, seed=3, sequences_per_step=4, first_step=0, steps=20))
    late = list(load_batches(sequences, seed=3, sequences_per_step=4, first_step=13, steps=20))
    assert len(whole) == 20
    for a, b in zip(whole[13:], late, strict=True):
        np.testing.assert_array_equal(a.inputs["tokens"], b.inputs["tokens"])
        np.testing.assert_array_equal(a.keys, b.keys)


def test_the_first_steps_read_halves(sequences: Sequences) -> None:
    early, late = (replace(sequences, halved_steps=2).batch(np.array([5, 3]), 0, step) for step in (1, 2))
    whole = sequences.batch(np.array([5, 3]), 0, 2)
    assert early.targets.shape == (4, 16)
    assert len(set(early.keys.tolist())) == 4
    np.testing.assert_array_equal(early.sequences, [5, 3])
    for ours, theirs in ((early, whole), (late, whole)):
        for name in ("tokens", "documents"):
            np.testing.assert_array_equal(ours.inputs[name].ravel(), theirs.inputs[name].ravel())
        np.testing.assert_array_equal(ours.targets.ravel(), theirs.targets.ravel())
    np.testing.assert_array_equal(late.keys, whole.keys)


def test_a_corpus_too_short_for_a_sequence(sequences: Sequences) -> None:
    with pytest.raises(BadInput, match="fewer than one sequence"):
        Sequences(sequences.store, 10**6, Causal())
