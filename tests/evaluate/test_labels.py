"""Scores of labels, against scikit-learn's and SQuAD's; guesses whose answers are known."""

import random

import pytest

from train.documents import Classified, Extracted, Tagged
from train.evaluate import guesses
from train.evaluate.labels import accuracy, macro_f1
from train.model import Purpose


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_are_those_of_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(seed)
    wanted = draw.choices("abcd", [8, 3, 2, 1], k=60)
    said = [one if draw.random() < 0.6 else draw.choice("abcde") for one in wanted]
    assert accuracy(said, wanted) == pytest.approx(metrics.accuracy_score(wanted, said))
    assert macro_f1(said, wanted) == pytest.approx(metrics.f1_score(wanted, said, average="macro", zero_division=0))


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
