"""What others must know of a tokenizer: how many tokens, which of them are special, which go on with a word."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from train.records import BadInput, read_json
from train.tokens.loading import load_tokenizer
from train.tokens.tokenizer import SENTINEL

_MOST = 2**24  # tokens: beyond, a file from outside asks for memory and not for words
_NAMES = {"begin": "bos", "end": "eos", "pad": "pad", "mask": "mask", "cls": "cls", "sep": "sep"}
_BEGINS = ("Ġ", "Ċ", "▁")  # a space or a line's end in byte-level BPE, a space in Unigram


@dataclass(frozen=True)
class Vocabulary:
    """`roles`: the numbers of the special tokens, by what they are for: begin, end, pad, mask, cls, sep.

    `sentinels`: theirs in order; `special`, `continues`: (V,) bool, no text's token, and not the first of a word.
    """

    size: int
    roles: dict[str, int]
    sentinels: tuple[int, ...]
    special: npt.NDArray[np.bool_]
    continues: npt.NDArray[np.bool_]

    def need(self, role: str) -> int:
        """The number of a special token that must be there."""
        if role not in self.roles:
            raise BadInput(f"the tokenizer has no {role} token, which this objective needs: choose another tokenizer")
        return self.roles[role]

    @property
    def opens(self) -> int:
        """The token that opens every document (`TokenizerConfig.opens`)."""
        return self.need("pad" if self.sentinels else "end")

    def hugging_face(self) -> dict[str, int]:
        """The same numbers under the names that config.json has for them."""
        numbers = {f"{_NAMES[role]}_token_id": number for role, number in self.roles.items()}
        if self.sentinels:
            return numbers | {"decoder_start_token_id": self.need("pad")}
        return numbers


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of the tokenizer in `folder`, ours or any in Hugging Face's format."""
    tokenizer = load_tokenizer(folder)
    numbers = tokenizer.get_vocab(with_added_tokens=True)
    size = 1 + max(numbers.values(), default=0)
    if size > _MOST:
        raise BadInput(f"{folder}/tokenizer.json: has a token of number {size - 1}")
    roles = _roles(folder, tokenizer)
    sentinels: list[int] = []
    while (number := tokenizer.token_to_id(SENTINEL.format(len(sentinels)))) is not None:
        sentinels.append(number)
    marks = any(piece.startswith("##") for piece in numbers)
    continues, special = np.zeros(size, bool), np.zeros(size, bool)
    for piece, number in numbers.items():
        continues[number] = piece.startswith("##") if marks else not piece.startswith(_BEGINS)
    added = [number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    special[[*added, *roles.values(), *sentinels]] = True
    return Vocabulary(size, roles, tuple(sentinels), special, continues & ~special)


def _roles(folder: Path, tokenizer: Tokenizer) -> dict[str, int]:
    """From tokenizer_config.json; what that does not name, from special_tokens_map.json and config.json."""
    tables = [_table(folder / name) for name in ("tokenizer_config.json", "special_tokens_map.json", "config.json")]
    roles: dict[str, int] = {}
    for role, name in _NAMES.items():
        named = [_number(tokenizer, table.get(f"{name}_token")) for table in tables[:2]]
        given = tables[2].get(f"{name}_token_id")
        known = isinstance(given, int) and not isinstance(given, bool) and given >= 0 and tokenizer.id_to_token(given)
        found = [number for number in (*named, given if known else None) if number is not None]
        if found:
            roles[role] = found[0]
    return roles


def _table(path: Path) -> dict[str, Any]:
    value = read_json(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise BadInput(f"{path}: not a table")
    return value


def _number(tokenizer: Tokenizer, name: object) -> int | None:
    """A token is named by its text, or by a table that holds it."""
    text = name.get("content") if isinstance(name, dict) else name
    return tokenizer.token_to_id(text) if isinstance(text, str) else None
