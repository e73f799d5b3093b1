"""What others must know of a tokenizer: how many tokens, which of them are special, which go on with a word."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from train.records import BadInput, read_json
from train.tokens.tokenizer import SENTINEL, load_tokenizer

_BEGINS = ("Ġ", "Ċ", "▁")  # a space or a line's end in byte-level BPE, a space in Unigram


@dataclass(frozen=True)
class Vocabulary:
    """`roles`: the numbers of the special tokens, by what they are for: end, pad, mask, cls, sep.

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

    def hugging_face(self) -> dict[str, int]:
        """The same numbers under the names that config.json has for them."""
        names = {"end": "eos", "pad": "pad", "mask": "mask", "cls": "cls", "sep": "sep"}
        numbers = {f"{names[role]}_token_id": number for role, number in self.roles.items()}
        if self.sentinels:
            return numbers | {"decoder_start_token_id": self.roles["pad"]}
        return numbers if "cls" in self.roles else numbers | {"bos_token_id": self.roles["end"]}


def load_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of the tokenizer in `folder`."""
    tokenizer, about = load_tokenizer(folder), read_json(folder / "tokenizer_config.json")
    if not isinstance(about, dict):
        raise BadInput(f"{folder}/tokenizer_config.json: not a table")
    names = {"end": about.get("eos_token") or about.get("bos_token")}
    names |= {role: about.get(f"{role}_token") for role in ("pad", "mask", "cls", "sep")}
    roles = {role: n for role, name in names.items() if (n := _number(tokenizer, name)) is not None}
    sentinels: list[int] = []
    while (number := tokenizer.token_to_id(SENTINEL.format(len(sentinels)))) is not None:
        sentinels.append(number)
    size = tokenizer.get_vocab_size()
    pieces = [tokenizer.id_to_token(number) or "" for number in range(size)]
    marks = any(piece.startswith("##") for piece in pieces)
    continues = [p.startswith("##") if marks else not p.startswith(_BEGINS) for p in pieces]
    special = np.zeros(size, bool)
    added = [number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    special[[*added, *roles.values(), *sentinels]] = True
    return Vocabulary(size, roles, tuple(sentinels), special, np.array(continues) & ~special)


def _number(tokenizer: Tokenizer, name: object) -> int | None:
    return tokenizer.token_to_id(name) if isinstance(name, str) else None
