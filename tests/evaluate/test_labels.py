"""Scores of labels, against scikit-learn's and SQuAD's; guesses whose answers are known."""

import random

import numpy as np
import pytest
import torch

from train.documents import Classified, Extracted, Tagged
from train.evaluate import Judged, bootstrap, guesses, score_labels
from train.evaluate.label_scores import accuracy, macro_f1
from train.evaluate.labels import _two_best
from train.evaluate.metrics import exact_match, word_f1
from train.model import Purpose
from train.records import Document
from train.tokens import Marked


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_are_those_of_scikit_learn_on_the_examples_drawn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(seed)
    wanted = [draw.choices("abcd", [8, 3, 2, 1], k=draw.randrange(1, 5)) for _ in range(20)]
    said = [[one if draw.random() < 0.6 else draw.choice("abcde") for one in labels] for labels in wanted]
    weights = np.array([[1] * 20, draw.choices(range(4), k=20), [0] * 19 + [20]], float)
    for row, right, f1 in zip(weights, accuracy(said, wanted)(weights), macro_f1(said, wanted)(weights), strict=True):
        a, b = ([x for one, n in zip(labels, row, strict=True) for x in one * int(n)] for labels in (said, wanted))
        assert right == pytest.approx(metrics.accuracy_score(b, a))
        assert f1 == pytest.approx(metrics.f1_score(b, a, average="macro", zero_division=0))


def judged(examples: list[Tagged] | list[Extracted]) -> list[Judged]:
    nothing = Marked([], [], [], [], [])
    document = Document(id="x", text="", source="", sha256="", n_bytes=0)
    return [Judged(document, example, nothing) for example in examples]


def test_bars_are_those_of_the_same_draws() -> None:
    draw = random.Random(1)
    tags = [draw.choices("ab", k=3) for _ in range(40)]
    said = [[one if draw.random() < 0.7 else "a" for one in labels] for labels in tags]
    right = np.array([(sum(map(str.__eq__, *pair)), 3) for pair in zip(said, tags, strict=True)], float)
    held_out = judged([Tagged(("x",) * 3, tuple(labels)) for labels in tags])
    found = score_labels(Purpose.tag, {"it": said, "right": tags}, held_out)
    low, high = bootstrap(right, lambda sums: sums[:, 0] / sums[:, 1])
    assert found["it"]["accuracy"] == pytest.approx(
        {"value": right[:, 0].sum() / 120, "low": low, "high": high}, abs=1e-4
    )
    assert found["right"]["macro_f1"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    answers = [f"a {draw.choice('bc')}" for _ in range(40)]
    given = [f"a {draw.choice('bc')}" for _ in range(40)]
    found = score_labels(
        Purpose.extract, {"it": [[x] for x in given]}, judged([Extracted("q", x, 0, x) for x in answers])
    )
    for name, metric in (("exact_match", exact_match), ("word_f1", word_f1)):
        assert found["it"][name] == pytest.approx(metric(given, answers)._asdict(), abs=1e-4)


def test_the_runner_up_is_the_second_of_all() -> None:
    costs = torch.rand(7, 5, dtype=torch.float64)
    first, second, gaps = _two_best(costs)
    wanted = costs.sort(-1)
    assert (first.tolist(), second.tolist()) == (wanted.indices[:, 0].tolist(), wanted.indices[:, 1].tolist())
    torch.testing.assert_close(gaps, wanted.values[:, 1] - wanted.values[:, 0])
    assert _two_best(costs[:, :1])[2].isinf().all()  # one label alone has no runner-up


def test_a_word_gets_the_tag_that_it_had_most_often() -> None:
    train = [
        Tagged(("the", "run"), (None, "NOUN")), Tagged(("Run", "!"), ("NOUN", None)), Tagged(("run",), ("VERB",)),
        Tagged(("go",), ("VERB",)), Tagged(("see",), ("VERB",)),
    ]  # fmt: skip
    found = guesses(Purpose.tag, train)
    held_out = Tagged(("RUN", "then", "sleep"), ("NOUN", None, "VERB"))
    assert found["the most frequent of each word"](held_out) == ["NOUN", "VERB"]
    assert found["the most frequent label"](held_out) == ["VERB", "VERB"]


def test_naive_bayes_is_that_of_scikit_learn() -> None:
    text, bayes = pytest.importorskip("sklearn.feature_extraction.text"), pytest.importorskip("sklearn.naive_bayes")
    draw = random.Random(1)
    words = {"a": ["un", "deux", "trois", "loi"], "b": ["trois", "quatre", "cinq", "loi"], "c": ["six", "un", "loi"]}
    labels = draw.choices("abc", k=40)
    passages = [" ".join(draw.choices(words[label], k=4)) for label in labels]
    train, held_out = slice(0, 30), slice(30, 40)
    counts = text.CountVectorizer(token_pattern=r"\w+").fit(passages[train])
    model = bayes.MultinomialNB(alpha=1.0).fit(counts.transform(passages[train]), labels[train])
    wanted = model.predict(counts.transform(passages[held_out])).tolist()
    pairs = zip(passages[train], labels[train], strict=True)
    guess = guesses(Purpose.classify, [Classified(*pair) for pair in pairs])["naive Bayes over words"]
    assert [guess(Classified(passage, "?"))[0] for passage in passages[held_out]] == wanted


def test_a_sentence_is_found_by_its_words_and_a_number_by_its_digits() -> None:
    asked = Extracted(
        "combien coûte le permis ?", "Le dossier est long. Le permis coûte 1 500 €, pas 20.", 37, "1 500 €"
    )
    found = guesses(Purpose.extract, [])
    assert found["the sentence most like the question"](asked) == ["Le permis coûte 1 500 €, pas 20."]
    assert found["the first number"](asked) == ["1 500 €"]
