"""What is stated of a model that was trained: how good it is beside a 5-gram, and how much it has by heart."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.batches import Objective
from train.documents import documents_file, read_documents, withdrawn, words_of
from train.evaluate import EvaluateConfig, FiveGram, Text, evaluate_texts, yardstick_bits_per_byte
from train.index import Index, build_index, open_index
from train.model import LanguageModel
from train.tokens import Tokenizer, TokenStore, load_tokenizer, load_vocabulary, write_shards

Tokens = npt.NDArray[np.int64]

OVERLAP = 13  # tokens: Brown et al., "Language Models are Few-Shot Learners", 2020, appendix C
_AT_LEAST = 8  # tokens: shorter passages are common phrases
_AS_LONG = 100  # tokens of each held-out text
_AT_ONCE = 64  # texts that are looked up together
OWN, AND_BASE, NOT_BASE = "its own", "its own and its base's", "its own, not its base's"


@dataclass(frozen=True)
class TrainingText:
    """What a model has read, indexed: its own training text and, where it was tuned and that is at hand, its base's.

    `of`: whose text it is: `OWN`, `AND_BASE` or `NOT_BASE`.
    """

    tokenizer: Tokenizer
    own: Index
    base: Index | None = None
    of: str = OWN

    def overlap(self, texts: Iterable[str]) -> dict[str, Any]:
        """Of the tokens of all texts, each taken once, those in passages of `at_least` tokens that were trained on."""
        once, covered, total = list(dict.fromkeys(texts)), 0, 0
        for start in range(0, len(once), _AT_ONCE):
            batch = once[start : start + _AT_ONCE]
            tokens = self._joined(batch)
            inside = self.own.inside(tokens, OVERLAP)
            if self.base is not None:
                inside |= self.base.inside(tokens, OVERLAP)
            covered, total = covered + int(inside.sum()), total + len(tokens) - len(batch)
        return {"at_least": OVERLAP, "share": round(covered / max(1, total), 4), "of": self.of}

    def _joined(self, texts: Sequence[str]) -> Tokens:
        """The tokens of texts, one after another, behind each one that is no token: no passage reaches across it."""
        spaced = [text if text[:1].isspace() else f" {text}" for text in texts]  # as words stand within a text
        found = (self.tokenizer.encode(text, add_special_tokens=False).ids for text in spaced)
        apart = self.tokenizer.get_vocab_size()
        return np.array([token for ids in found for token in (*ids, apart)], np.int64)


@contextmanager
def training_text(store: TokenStore, tokenizer: Tokenizer) -> Iterator[TrainingText]:
    """The training tokens in `store`, indexed for as long as they are looked into."""
    with _indexed(store) as index:
        yield TrainingText(tokenizer, index)


@contextmanager
def beside_base(read: TrainingText, base: Path) -> Iterator[TrainingText]:
    """What a tuned model has read, with the text of its base in the folder `base` if there is one to look into."""
    with _indexed_words(base) as index:
        yield replace(read, base=index, of=NOT_BASE if index is None else AND_BASE)


def score_model(
    model: LanguageModel, objective: Objective, store: TokenStore, texts: list[Text], config: EvaluateConfig,
    advance: Callable[[int], object],
) -> dict[str, Any]:  # fmt: skip
    """Bits per byte on the held-out texts, beside those of a 5-gram and a unigram of the training tokens in `store`."""
    measured = evaluate_texts(model, objective, texts, config, advance)
    held = [(text.tokens, text.n_bytes, row) for text, row in zip(texts, measured.predicted, strict=True)]
    yardsticks = {
        name: yardstick_bits_per_byte(FiveGram(store.documents(), store.vocab_size, order), held)
        for name, order in (("five_gram", 5), ("unigram", 1))
    }
    return {
        "bits_per_byte": measured.report | yardsticks,
        "again": "python -m train evaluate RELEASE",
        "documents": "data/documents-validation.parquet",
        "yardstick": (
            "interpolated Kneser-Ney 5-gram, one discount per order, over the training tokens, and its unigram; "
            "on the tokens that the model predicts, each from those before it"
        ),
    }


def look_up(read: TrainingText, said: Sequence[Tokens], held_out: Sequence[Text]) -> dict[str, Any]:
    """What stands word for word in its own training text: of what the model said, and of the exam.

    `verbatim`: the share of what a model said, beside that of held-out text. A match shows that words stand in a text,
    not that the text caused them; held-out text, which no model wrote, shows how often that happens by itself.
    `overlap`: the share of the held-out tokens that lie in passages long enough to give an answer away.
    """
    others = [np.asarray(text.tokens[1 : 1 + _AS_LONG], np.int64) for text in held_out[: len(said)]]
    verbatim = {
        "at_least": _AT_LEAST,
        "said": _share(read.own, said, _AT_LEAST),
        "said_tokens": sum(map(len, said)),
        "held_out": _share(read.own, others, _AT_LEAST),
    }
    return {"verbatim": verbatim, "overlap": overlap(read.own, [text.tokens for text in held_out])}


def overlap(index: Index, held_out: Iterable[Tokens]) -> dict[str, Any]:
    """Of the tokens of the held-out documents, each (n,) and beginning with end-of-text, those in passages of
    `at_least` tokens that were trained on: exact n-grams."""
    return {"at_least": OVERLAP, "share": _share(index, (tokens[1:] for tokens in held_out), OVERLAP)}


def told_before(folder: Path, answers: Sequence[Text]) -> list[float] | None:
    """Of each answer, the share of its tokens that lie in passages of `OVERLAP` tokens or more which stand in the
    training text of the release in `folder`, word for word; None where that release has no text to look into.

    An answer that is shorter than such a passage is never found (`too_short`).
    """
    with _indexed_words(folder) as index:
        return None if index is None else [_share(index, [answer.tokens[1:]], OVERLAP) for answer in answers]


def too_short(answers: Iterable[Text]) -> int:
    """How many of these answers have fewer tokens than a passage that `told_before` looks for."""
    return sum(len(answer.tokens) - 1 < OVERLAP for answer in answers)


@contextmanager
def _indexed_words(folder: Path) -> Iterator[Index | None]:
    """The words of the training text of the release in `folder`; None if it has none, or if some were withdrawn."""
    if not documents_file(folder / "data", "train").is_file() or withdrawn(folder):
        yield None
        return
    tokenizer, opens = load_tokenizer(folder), load_vocabulary(folder).opens
    texts = (replace(text, text=words_of(text.text)) for text in read_documents(folder / "data", "train"))
    with tempfile.TemporaryDirectory() as work:
        write_shards(texts, tokenizer, str(tokenizer.id_to_token(opens)), Path(work), "train", lambda _: None)
        with _indexed(TokenStore(Path(work), "train")) as index:
            yield index


@contextmanager
def _indexed(store: TokenStore) -> Iterator[Index]:
    with tempfile.TemporaryDirectory() as folder:
        build_index(store, Path(folder))
        yield open_index(Path(folder), store.digest)


def _share(index: Index, texts: Iterable[Tokens], at_least: int) -> float:
    """Of the tokens of all texts, those in passages of the index."""
    covered = total = 0
    for text in texts:
        covered, total = covered + int(index.inside(text, at_least).sum()), total + len(text)
    return round(covered / max(1, total), 4)
