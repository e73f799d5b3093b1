"""What is hidden and what is predicted: by definition, as often as said, and a pure function of the key."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import make_text
from train.batches import ObjectiveConfig, ObjectiveName, Sequences, build_objective
from train.batches.objectives import Masked, Permutation, SpanCorruption
from train.numerics import hash_rows
from train.records import IGNORE, BadInput, Document
from train.tokens import (
    TokenizerConfig,
    TokenizerKind,
    TokenStore,
    Vocabulary,
    load_vocabulary,
    save_tokenizer,
    train_tokenizer,
    write_shards,
)

SIZE = 200
ROLES = {"end": 0, "pad": 1, "mask": 2, "cls": 3, "sep": 4}
SENTINELS = tuple(range(5, 45))


def vocabulary() -> Vocabulary:
    special = np.zeros(SIZE, bool)
    special[:45] = True
    continues = np.arange(SIZE) % 3 == 0
    return Vocabulary(SIZE, ROLES, SENTINELS, special, continues & ~special)


def windows(rows: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(size)
    return random.integers(45, SIZE, (rows, size)), hash_rows(np.arange(rows), 11)


def masked(**more) -> Masked:
    return Masked(ObjectiveConfig(name=ObjectiveName.masked, share=0.15, **more), vocabulary())


def test_masked_hides_as_many_as_it_says_in_the_three_ways() -> None:
    text, keys = windows(300, 62)
    example = masked().make(text, keys)
    tokens, hidden = example.inputs["tokens"], example.predicted
    assert tokens.shape == (300, 64)
    assert (tokens[:, 0] == 3).all()
    assert (tokens[:, -1] == 4).all()
    np.testing.assert_array_equal(example.targets[:, 1:-1], np.where(hidden, text, IGNORE))
    shown = tokens[:, 1:-1]
    np.testing.assert_array_equal(shown[~hidden], text[~hidden])
    assert hidden.mean() == pytest.approx(0.15, abs=0.01)
    masks, same = (shown == 2)[hidden].mean(), (shown == text)[hidden].mean()
    assert masks == pytest.approx(0.8, abs=0.03)
    assert same == pytest.approx(0.1, abs=0.03)
    assert 1 - masks - same == pytest.approx(0.1, abs=0.03)


def test_special_tokens_are_not_hidden() -> None:
    text, keys = windows(20, 62)
    text[:, ::2] = 0
    assert not masked().make(text, keys).predicted[:, ::2].any()


def test_whole_words_are_hidden_whole() -> None:
    text, keys = windows(50, 62)
    hidden, continues = masked(whole_words=True).make(text, keys).predicted, vocabulary().continues[text]
    assert (hidden[:, 1:] == hidden[:, :-1])[continues[:, 1:]].all()
    assert 0.1 < hidden.mean() < 0.2


@pytest.mark.parametrize("size", [2, 3, 7, 64, 256])
def test_spans_taken_out_and_put_back_are_the_text(size: int) -> None:
    objective = SpanCorruption(ObjectiveConfig(name=ObjectiveName.span_corruption, share=0.15), vocabulary())
    text, keys = windows(40, size)
    example = objective.make(text, keys)
    tokens, decoder, targets = example.inputs["tokens"], example.inputs["decoder_tokens"], example.targets
    assert (tokens[:, -1] == 0).all()
    assert (targets[:, -1] == 0).all()
    assert (decoder[:, 0] == 1).all()
    np.testing.assert_array_equal(decoder[:, 1:], targets[:, :-1])
    assert (example.predicted.sum(1) == min(max(1, round(0.15 * size)), size - 1)).all()
    for row in range(40):
        spans: dict[int, list[int]] = {}
        for token in targets[row, :-1].tolist():
            if token in SENTINELS:
                spans[token] = span = []
            else:
                span.append(token)
        assert list(spans) == list(SENTINELS[: len(spans)])
        back = [part for token in tokens[row, :-1].tolist() for part in spans.get(token, [token])]
        assert back == text[row].tolist()
    scored = objective.score(text, keys)
    assert sorted(scored.targets[0][scored.targets[0] != IGNORE]) == sorted(text[0][example.predicted[0]])


def permutation(left_to_right: float) -> Permutation:
    config = ObjectiveConfig(name=ObjectiveName.permutation, share=0.25, left_to_right=left_to_right)
    return Permutation(config)


def test_nobody_sees_itself_or_what_comes_later_in_the_order() -> None:
    text, keys = windows(50, 32)
    example = permutation(0.0).make(text, keys)
    sees, predict = example.inputs["sees"], example.inputs["predict"]
    assert predict.shape == (50, 8)
    assert not sees[:, np.arange(32), np.arange(32)][example.predicted].any()
    for row in range(50):
        chosen = predict[row]
        np.testing.assert_array_equal(example.targets[row], text[row, chosen])
        others = np.setdiff1d(np.arange(32), chosen)
        assert sees[row][:, others].all()  # what is not predicted is seen by all
        assert not sees[row][np.ix_(others, chosen)].any()  # and sees nothing that is
        among = sees[row][np.ix_(chosen, chosen)]
        assert sorted(among.sum(1)) == list(range(8))  # a chain: the order
    counts = np.bincount(example.inputs["predict"].ravel(), minlength=32)
    assert counts.min() > 0
    assert counts.max() < 30


def test_the_text_s_own_order_looks_back_only() -> None:
    text, keys = windows(50, 32)
    for example in (permutation(1.0).make(text, keys), permutation(0.0).score(text, keys)):
        assert not (example.inputs["sees"] & ~np.tri(32, 32, -1, bool)).any()
        assert (example.inputs["predict"] > 0).all()
    assert permutation(0.0).score(text, keys).targets.shape == (50, 31)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    config = TokenizerConfig(
        kind=TokenizerKind.wordpiece, vocab_size=200, end_of_text="[SEP]", pad_token="[PAD]", mask_token="[MASK]",
        cls_token="[CLS]", sep_token="[SEP]", sentinels=20,
    )  # fmt: skip
    documents = [
        Document(id=str(n), text=make_text(n), source="s", sha256="", n_bytes=len(make_text(n))) for n in range(8)
    ]
    tokenizer = train_tokenizer(config, [d.text for d in documents])
    save_tokenizer(tokenizer, config, folder, 32)
    write_shards(documents, tokenizer, config.opens, folder, "train", lambda _: None)
    return folder


@pytest.mark.parametrize("name", list(ObjectiveName))
def test_masks_are_a_function_of_seed_step_and_sequence(store: Path, name: ObjectiveName) -> None:
    config = ObjectiveConfig(name=name, share=1.0 if name is ObjectiveName.causal else 0.15)
    sequences = Sequences(TokenStore(store, "train"), 32, build_objective(config, load_vocabulary(store)))

    def inputs(numbers: list[int], seed: int, step: int) -> dict[str, np.ndarray]:
        batch = sequences.batch(np.array(numbers), seed, step)
        return {**batch.inputs, "targets": batch.targets}

    whole, half = inputs([3, 9, 4, 7], 1, 5), inputs([4, 7], 1, 5)
    for key, value in half.items():
        np.testing.assert_array_equal(whole[key][2:], value)  # another rank, with its share of the batch
    for other in (inputs([4, 7], 1, 6), inputs([4, 7], 2, 5)):
        same = all(np.array_equal(other[key], half[key]) for key in half)
        assert same == (name is ObjectiveName.causal)


def test_the_vocabulary_knows_its_special_tokens(store: Path) -> None:
    found = load_vocabulary(store)
    assert set(found.roles) == {"end", "pad", "mask", "cls", "sep"}
    assert len(found.sentinels) == 20
    assert found.special.sum() == 25  # five names for four tokens, the unknown, twenty sentinels
    assert 0 < found.continues.sum() < found.size


def test_what_an_objective_lacks_is_said() -> None:
    bare = Vocabulary(10, {"end": 0}, (), np.zeros(10, bool), np.zeros(10, bool))
    for name, said in (("masked", "no mask token"), ("span_corruption", "no pad token")):
        with pytest.raises(BadInput, match=said):
            build_objective(ObjectiveConfig(name=ObjectiveName(name), share=0.15), bare)
    with pytest.raises(BadInput, match=r"objective\.share"):
        ObjectiveConfig(name=ObjectiveName.masked, share=1.0)
    with pytest.raises(BadInput, match="spans"):
        SpanCorruption(ObjectiveConfig(name=ObjectiveName.span_corruption, share=0.5), vocabulary()).window(4096)
