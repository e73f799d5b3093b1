"""A model that is asked: with its tokenizer, and text where the model has tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.evaluate.likelihood import left_to_right, log_likelihoods
from train.hugging_face import from_hugging_face
from train.model import LanguageModel
from train.records import BadInput
from train.tokens import Tokenizer, Vocabulary, load_tokenizer, load_vocabulary

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reader:
    """A model of the next token, what reads for it and what is to be known of its tokens."""

    model: LanguageModel
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    batch_size: int = 16

    def __post_init__(self) -> None:
        left_to_right(self.model)
        if self.vocabulary.size > self.model.config.vocab_size:
            raise BadInput("the tokenizer has more tokens than the model")

    @staticmethod
    def open(folder: Path) -> "Reader":
        """The model in `folder`: a release, or any folder in Hugging Face's format of a family known here."""
        return Reader(from_hugging_face(folder), load_tokenizer(folder), load_vocabulary(folder))

    @property
    def first(self) -> int:
        """The token that stands before a text of which nothing is given."""
        return self.vocabulary.need("begin" if "begin" in self.vocabulary.roles else "end")

    def encode(self, text: str, *, framed: bool = True) -> list[int]:
        """Tokens; `framed` as the tokenizer frames a text by itself."""
        return list(self.tokenizer.encode(text, add_special_tokens=framed).ids)

    def pair(self, context: str, continuation: str) -> tuple[Ints, Ints]:
        """The tokens of a context and of what goes on after it: cut together, then parted. A space at the end of the
        context belongs to the word that follows."""
        if not context:
            alone = self.encode(continuation, framed=False)
            before, after = ([self.first], alone) if alone[:1] != [self.first] else (alone[:1], alone[1:])
            return np.array(before, np.int64), np.array(after, np.int64)
        bare = context.rstrip()
        whole, before = self.encode(context + continuation), self.encode(bare)
        return np.array(before, np.int64), np.array(whole[len(before) :], np.int64)

    def judge(self, asked: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Of each (context, continuation): log p of the second after the first, in nats, and whether it is what the
        model would say itself. As lm-eval asks it."""
        return log_likelihoods(self.model, [self.pair(*texts) for texts in asked], self.batch_size)
