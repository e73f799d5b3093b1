"""Which of two sentences a model finds likelier, if they differ in the group that they speak of and in nothing else.

After CrowS-Pairs (Nangia et al., "CrowS-Pairs: A Challenge Dataset for Measuring Social Biases in Masked Language
Models", EMNLP 2020). A model that reads from left to right is asked for the likelihood of the whole sentence; one that
fills in masks for the pseudo-likelihood of the tokens that both sentences share, each hidden in turn (section 3 there).

`pairs.jsonl` is a small set of ours, English and French. What is said in it of a group is a stereotype that somebody
holds, and is not said to be so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from train.batches import ObjectiveName
from train.evaluate.bits_per_byte import Text, sum_bits
from train.evaluate.chance import share_interval
from train.evaluate.likelihood import at_rest, left_to_right
from train.model import LanguageModel
from train.records import digest_rows, read_rows
from train.tokens import Tokenizer, Vocabulary, encode_document

_PAIRS = Path(__file__).with_name("pairs.jsonl")


@dataclass(frozen=True)
class Pair:
    """Two sentences; of the group in the first the stereotype is held."""

    language: str
    category: str
    stereotype: str
    other: str


def read_pairs(languages: Sequence[str]) -> list[Pair]:
    """The set of ours, in these languages."""
    return [pair for pair in (Pair(**row) for row in read_rows(_PAIRS)) if pair.language in languages]


def expected_groups(
    model: LanguageModel, tokenizer: Tokenizer, vocabulary: Vocabulary, languages: Sequence[str], batch_size: int
) -> dict[str, Any] | None:
    """The share of the pairs in which the stereotype is the likelier, in all, by language and by category, with the
    interval that chance leaves it (95 %).

    None where there is nothing to ask: no pair in these languages, or a T5, which gives a sentence no likelihood.
    """
    pairs, learns = read_pairs(languages), ObjectiveName(model.OBJECTIVE)
    if not pairs or learns is ObjectiveName.span_corruption:
        return None
    sentences = [sentence for pair in pairs for sentence in (pair.stereotype, pair.other)]
    tokens = [np.concatenate([np.asarray(part, np.int64) for part in encode_document(tokenizer, s)]) for s in sentences]
    if learns is ObjectiveName.masked:
        costs = _pseudo(model, tokens, vocabulary, batch_size)
        measure = "the pseudo-likelihood of the tokens they share"
    else:
        texts = [Text(str(n), (), 1, np.insert(part, 0, vocabulary.opens)) for n, part in enumerate(tokens)]
        half = max(1, model.config.seq_len // 2)
        costs, _ = sum_bits(model, left_to_right(model), texts, half, batch_size)
        measure = "the likelihood of the sentence"
    likelier = costs[0::2] < costs[1::2]
    groups = {name: [pair.language == name for pair in pairs] for name in sorted({pair.language for pair in pairs})}
    groups |= {name: [pair.category == name for pair in pairs] for name in sorted({pair.category for pair in pairs})}
    return {
        **_share(likelier),
        "measure": measure,
        "languages": sorted({pair.language for pair in pairs}),
        "set": digest_rows(vars(pair) for pair in pairs),
        "by": {name: _share(likelier[np.array(chosen)]) for name, chosen in groups.items()},
    }


def _share(likelier: npt.NDArray[np.bool_]) -> dict[str, Any]:
    count, chosen = len(likelier), int(likelier.sum())
    low, high = share_interval(chosen, count)
    return {"pairs": count, "share": chosen / count, "low": low, "high": high}


@dataclass(frozen=True)
class _Hidden:
    """A framed sentence, (n,) int64, with one token hidden at `place`, and the token that stood there."""

    sentence: int
    tokens: npt.NDArray[np.int64]
    place: int
    token: int


def _pseudo(
    model: LanguageModel, tokens: Sequence[npt.NDArray[np.int64]], vocabulary: Vocabulary, batch_size: int
) -> npt.NDArray[np.float64]:
    """Of each sentence, the summed -log p of the tokens that it shares with the other of its pair, in nats."""
    asked = [hidden for first in range(0, len(tokens), 2) for hidden in _hide(model, tokens, first, vocabulary)]
    asked.sort(key=lambda hidden: len(hidden.tokens))
    costs = np.zeros(len(tokens))
    device = next(model.parameters()).device
    for _, group in groupby(asked, lambda hidden: len(hidden.tokens)):
        alike = list(group)
        for start in range(0, len(alike), batch_size):
            part = alike[start : start + batch_size]
            rows = torch.from_numpy(np.stack([hidden.tokens for hidden in part])).to(device)
            places = torch.tensor([hidden.place for hidden in part], device=device)
            wanted = torch.tensor([hidden.token for hidden in part], device=device)
            with at_rest(model):
                logits = model.head(model.hidden(rows)[torch.arange(len(part), device=device), places]).float()
                nats = functional.cross_entropy(logits, wanted, reduction="none").double()
            for hidden, cost in zip(part, nats.tolist(), strict=True):
                costs[hidden.sentence] += cost
    return costs


def _hide(
    model: LanguageModel, tokens: Sequence[npt.NDArray[np.int64]], first: int, vocabulary: Vocabulary
) -> Iterator[_Hidden]:
    """Each shared token of the pair hidden in turn, with as much of the sentence around it as a window holds."""
    mask, cls, sep = (vocabulary.need(role) for role in ("mask", "cls", "sep"))
    room = model.config.seq_len - 2
    pair: list[list[int]] = [tokens[first].tolist(), tokens[first + 1].tolist()]
    for block in SequenceMatcher(None, pair[0], pair[1], autojunk=False).get_matching_blocks():
        for side, begin in ((0, block.a), (1, block.b)):
            for at in range(begin, begin + block.size):
                start = max(0, min(at - room // 2, len(pair[side]) - room))
                shown = np.array([cls, *pair[side][start : start + room], sep])
                shown[at - start + 1] = mask
                yield _Hidden(first + side, shown, at - start + 1, pair[side][at])
