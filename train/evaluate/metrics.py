"""How alike an answer and what was wanted are: thin doors to the libraries whose numbers papers report.

ROUGE is rouge-score's (Lin, 2004), BLEU (Papineni et al., 2002) and chrF (Popović, 2015) are sacrebleu's; both packages
are the extra `tasks`. Exact match and F1 over words are SQuAD's (Rajpurkar et al., 2016), a few lines. All are from 0
to 1, each with where 95 % of the draws lie if as many questions are drawn again from these.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from train.evaluate.chance import Floats, bootstrap
from train.records import BadInput


class Scored(NamedTuple):
    """A score, and between which values 95 % of the draws lie (the bootstrap: Efron, 1979)."""

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float]:
        """As JSON, to four digits."""
        return {name: round(float(x), 4) for name, x in self._asdict().items()}


Metric = Callable[[Sequence[str], Sequence[str]], Scored]


def _sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError as error:
        raise BadInput(
            f"BLEU and chrF need sacrebleu ({error}): in Fusée's folder, pip install -e '.[tasks]'"
        ) from error
    return sacrebleu


def _rouge_scorer() -> Any:
    try:
        from rouge_score import rouge_scorer
    except ImportError as error:
        raise BadInput(f"ROUGE needs rouge-score ({error}): in Fusée's folder, pip install -e '.[tasks]'") from error
    return rouge_scorer


def bleu(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """Of a corpus: one reference for each answer, sacrebleu's own words and smoothing."""
    return _of_corpus(_sacrebleu().BLEU(), said, wanted)


def chrf(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """Of a corpus: characters in sixes at most, recall weighted twice (chrF2)."""
    return _of_corpus(_sacrebleu().CHRF(), said, wanted)


def _of_corpus(metric: Any, said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """A score that is no mean: of what each question adds to it, summed. (sacrebleu's own bootstrap stops in chrF where
    a draw scores nothing.)"""
    rows = np.array(metric._extract_corpus_statistics(list(said), [list(wanted)]), float)

    def scores(sums: Floats) -> Floats:
        return np.array([float(metric._compute_score_from_stats(row).score) / 100 for row in sums.tolist()])

    return Scored(float(scores(rows.sum(0)[None])[0]), *bootstrap(rows, scores))


def rouge_l(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """The mean F1 of the longest common subsequence of words, without stemming, words as French has them."""
    return _rouge("rougeL", said, wanted)


def rouge_1(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """The mean F1 of single words."""
    return _rouge("rouge1", said, wanted)


def rouge_2(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """The mean F1 of pairs of words."""
    return _rouge("rouge2", said, wanted)


class _Words:
    """rouge-score's own tokenizer knows a to z alone and would cut every é out of French."""

    def tokenize(self, text: str) -> list[str]:
        """The words, in lower case."""
        return words(text)


def _rouge(kind: str, said: Sequence[str], wanted: Sequence[str]) -> Scored:
    scorer = _rouge_scorer().RougeScorer([kind], tokenizer=_Words())
    pairs = zip(wanted, said, strict=True)
    return _mean([scorer.score(reference, answer)[kind].fmeasure for reference, answer in pairs])


def exact_match(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """The share of answers that have the same words in the same order as what was wanted."""
    return _mean([same_words(a, b) for a, b in zip(said, wanted, strict=True)])


def word_f1(said: Sequence[str], wanted: Sequence[str]) -> Scored:
    """The mean F1 of the words that an answer and what was wanted share."""
    return _mean([shared_words(a, b) for a, b in zip(said, wanted, strict=True)])


def same_words(said: str, wanted: str) -> float:
    """1.0 if both have the same words in the same order, else 0.0."""
    return float(words(said) == words(wanted))


def shared_words(said: str, wanted: str) -> float:
    """The F1 of the words that both have."""
    a, b = words(said), words(wanted)
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if a or b else 1.0


def words(text: str) -> list[str]:
    """The words of a text in lower case, without signs."""
    return re.findall(r"\w+", text.casefold())


def _mean(values: list[float]) -> Scored:
    if not values:
        return Scored(0.0, 0.0, 0.0)
    low, high = bootstrap(np.array(values)[:, None], lambda sums: sums[:, 0] / len(values))
    return Scored(sum(values) / len(values), low, high)
