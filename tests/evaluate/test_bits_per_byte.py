"""Bits per byte: each token counts once, whatever the batch; the 5-gram beside a slow reference and a closed form."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from torch.nn import functional

from train.batches.objectives import Causal
from train.evaluate import EvaluateConfig, FiveGram, Text, evaluate_texts
from train.model import LlamaConfig, build_model
from train.records import BadInput

VOCABULARY = 50


@pytest.fixture(scope="module")
def model():
    config = LlamaConfig(
        vocab_size=VOCABULARY, seq_len=16, d_model=16, n_layers=2, n_heads=2, n_kv_heads=2, d_head=8, d_ff=24
    )
    made = build_model(config)
    torch.manual_seed(0)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    return made


def texts(*lengths: int) -> list[Text]:
    random = np.random.default_rng(0)
    return [
        Text(f"d{n}", (f"author {n % 2}",), 3 * length, random.integers(0, VOCABULARY, length + 1), "s", f"l{n > 0}")
        for n, length in enumerate(lengths)
    ]


def report(model, several: list[Text], **options) -> dict:
    return evaluate_texts(model, Causal(), several, EvaluateConfig(**options)).report


def test_short_documents_are_plain_cross_entropy(model) -> None:
    found = report(model, texts(9, 16, 1))
    for text in texts(9, 16, 1):
        tokens = torch.from_numpy(text.tokens)
        nats = functional.cross_entropy(model(tokens[None, :-1])[0], tokens[1:], reduction="sum").item()
        assert found["by_document"][text.id] == pytest.approx(nats / math.log(2) / text.n_bytes, rel=1e-5)


@pytest.mark.parametrize("stride", [1, 5, 8, 16])
def test_long_documents_count_each_token_once(model, stride: int) -> None:
    text = texts(83)[0]
    found = report(model, [text], stride=stride)["total"]
    tokens, nats = torch.from_numpy(text.tokens), 0.0
    for target in range(1, 84):
        window = 0 if target <= 16 else stride * math.ceil((target - 16) / stride)
        logits = model(tokens[None, window:target])[0, -1]
        nats -= logits.log_softmax(-1)[tokens[target]].item()
    assert found == pytest.approx(nats / math.log(2) / text.n_bytes, rel=1e-5)


def test_independent_of_the_batch_size(model) -> None:
    several = texts(83, 9, 40, 17, 16)
    one = report(model, several, batch_size=1)
    for size in (2, 7, 64):
        many = report(model, several, batch_size=size)
        assert many["total"] == pytest.approx(one["total"], rel=1e-6)
        for kind in ("by_document", "by_author", "by_language", "by_source"):
            assert many[kind] == pytest.approx(one[kind], rel=1e-6)
        for kind in ("by_author", "by_language", "by_source"):
            for name, drawn in one["intervals"][kind].items():
                assert many["intervals"][kind][name] == pytest.approx(drawn, rel=1e-6)


def test_authors_and_the_total_are_sums_of_documents(model) -> None:
    several = texts(83, 9, 40)
    found = report(model, several)
    bits = {t.id: found["by_document"][t.id] * t.n_bytes for t in several}
    assert found["total"] == pytest.approx(sum(bits.values()) / sum(t.n_bytes for t in several))
    assert found["by_author"]["author 0"] == pytest.approx((bits["d0"] + bits["d2"]) / (3 * 83 + 3 * 40))
    assert found["by_language"]["lTrue"] == pytest.approx((bits["d1"] + bits["d2"]) / (3 * 9 + 3 * 40))
    assert found["by_source"] == {"s": pytest.approx(found["total"])}


def test_chance_is_known_where_there_are_two_documents(model) -> None:
    found = report(model, texts(83, 9, 40))
    drawn = found["intervals"]
    assert drawn["by_author"].keys() == {"author 0"}
    assert drawn["by_author"]["author 0"]["documents"] == 2
    ends = sorted(
        [found["by_document"]["d0"], found["by_document"]["d2"]]
    )  # of two, a quarter of the draws is one twice
    assert [drawn["by_author"]["author 0"][end] for end in ("low", "high")] == pytest.approx(ends)
    assert drawn["total"]["low"] < found["total"] < drawn["total"]["high"]


def test_a_stride_longer_than_a_window(model) -> None:
    with pytest.raises(BadInput, match="at most"):
        report(model, texts(30), stride=17)


def slow_kneser_ney(documents, vocabulary: int, order: int):
    """The same model from its definition, with dictionaries: Chen and Goodman, 1999."""
    grams: list[Counter] = [Counter() for _ in range(order + 1)]
    for document in documents:
        padded = [document[0]] * (order - 1) + list(document[1:])
        for i in range(order - 1, len(padded)):
            for n in range(1, order + 1):
                grams[n][tuple(padded[i - n + 1 : i + 1])] += 1
    counts: list[Counter] = [Counter() for _ in range(order + 1)]
    counts[order] = grams[order]
    for n in range(1, order):
        for gram in grams[n + 1]:
            counts[n][gram[1:]] += 1
    totals, types, discounts = [defaultdict(int) for _ in counts], [defaultdict(int) for _ in counts], [0.0]
    for n in range(1, order + 1):
        for gram, count in counts[n].items():
            totals[n][gram[:-1]] += count
            types[n][gram[:-1]] += 1
        once, twice = (sum(c == k for c in counts[n].values()) for k in (1, 2))
        discounts.append(once / (once + 2 * twice) if once and twice else 0.75)

    def probability(history: tuple, token: int) -> float:
        p = 1 / vocabulary
        for n in range(1, order + 1):
            context = history[len(history) - n + 1 :] if n > 1 else ()
            if totals[n][context]:
                own = max(counts[n][(*context, token)] - discounts[n], 0)
                p = (own + discounts[n] * types[n][context] * p) / totals[n][context]
        return p

    return probability


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_five_gram_is_its_definition(order: int) -> None:
    random = np.random.default_rng(1)
    weights = np.array([1 / (k + 1) for k in range(12)])
    documents = [
        np.concatenate([[0], random.choice(12, 60, p=weights / weights.sum())]).astype(np.int64) for _ in range(9)
    ]
    fast, slow = FiveGram(documents[:7], 12, order), slow_kneser_ney(documents[:7], 12, order)
    for document in documents[7:]:
        padded = tuple([document[0]] * (order - 1) + list(document[1:]))
        bits = 0.0
        for i in range(order - 1, len(padded)):
            bits -= math.log2(slow(padded[i - order + 1 : i], padded[i]))
        assert fast.bits(document).sum() == pytest.approx(bits, rel=1e-9)


def test_its_probabilities_sum_to_one() -> None:
    random = np.random.default_rng(2)
    model = FiveGram([np.concatenate([[0], random.integers(0, 9, 200)]) for _ in range(3)], 9)
    history = np.concatenate([[0], random.integers(0, 9, 6)])
    before = model.bits(history).sum()
    total = sum(2.0 ** -(model.bits(np.append(history, token)).sum() - before) for token in range(9))
    assert total == pytest.approx(1.0, abs=1e-9)
