"""What an encoder has to beat: labels that take no model, only the training examples, counted."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from train.documents import Classified, Extracted, Labelled, Tagged
from train.evaluate.metrics import words
from train.model import Purpose

Guess = Callable[[Labelled], list[str]]

_SENTENCE = re.compile(r"[^.!?;:]+[.!?;:]?")
_NUMBER = re.compile(r"\d[\d\s.,]*(?:\s?(?:€|%|\$))?")


def guesses(purpose: Purpose, train: Sequence[Labelled]) -> dict[str, Guess]:
    """Each way of guessing by its name, once it has seen the training examples."""
    if purpose is Purpose.extract:
        return {"the sentence most like the question": _alike, "the first number": _first_number}
    found: dict[str, Guess] = {"the most frequent label": _most_frequent(train)}
    if purpose is Purpose.tag:
        return found | {"the most frequent of each word": _each_word(train)}
    return found | {"naive Bayes over words": _bayes(train)}


def guess_all(purpose: Purpose, train: Sequence[Labelled], held_out: Sequence[Labelled]) -> dict[str, list[list[str]]]:
    """What each way of guessing says of each held-out example."""
    return {name: [guess(one) for one in held_out] for name, guess in guesses(purpose, train).items()}


def _most_frequent(train: Sequence[Labelled]) -> Guess:
    label = _first(Counter(label for one in train for label in one.labels))
    return lambda one: [label] * len(one.labels)


def _each_word(train: Sequence[Labelled]) -> Guess:
    """The tag that a word had most often; of a word that never had one, the one most frequent of all."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in train:
        for word, tag in _tagged(one):
            counts[word][tag] += 1
    usual = _first(sum(counts.values(), Counter()))
    best = {word: _first(count) for word, count in counts.items()}
    return lambda one: [best.get(word, usual) for word, _ in _tagged(one)]


def _tagged(one: Labelled) -> list[tuple[str, str]]:
    assert isinstance(one, Tagged)
    return [(word.casefold(), tag) for word, tag in zip(one.words, one.tags, strict=True) if tag is not None]


def _bayes(train: Sequence[Labelled]) -> Guess:
    """Multinomial, each word counted once more than it was seen (Manning et al., 2008, section 13.2)."""
    of: dict[str, Counter[str]] = defaultdict(Counter)
    prior: Counter[str] = Counter()
    for one in train:
        assert isinstance(one, Classified)
        prior[one.label] += 1
        of[one.label].update(words(one.passage))
    known = {word for count in of.values() for word in count}
    totals = {label: sum(count.values()) + len(known) for label, count in of.items()}

    def guess(one: Labelled) -> list[str]:
        seen = [word for word in words(one.text) if word in known]
        scores = {
            label: math.log(prior[label]) + sum(math.log((count[word] + 1) / totals[label]) for word in seen)
            for label, count in of.items()
        }
        return [min(scores, key=lambda label: (-scores[label], label))]

    return guess


def _alike(one: Labelled) -> list[str]:
    """The sentence that has most of the question's words; of two as good the earlier one."""
    assert isinstance(one, Extracted)
    asked = set(words(one.question))
    sentences = [found.strip() for found in _SENTENCE.findall(one.passage)]
    return [max(sentences, key=lambda sentence: len(asked & set(words(sentence))), default="")]


def _first_number(one: Labelled) -> list[str]:
    assert isinstance(one, Extracted)
    found = _NUMBER.search(one.passage)
    return [found[0].strip() if found else ""]


def _first(count: Counter[str]) -> str:
    """The most frequent; of two as frequent the first by name."""
    return min(count, key=lambda name: (-count[name], name))
