"""Text of tokens that come one by one: a byte-level token may end inside a character, which is then waited for."""

from collections.abc import Callable

_NOT_YET = "\N{REPLACEMENT CHARACTER}"  # what a decoder makes of bytes that are no whole character
_WINDOW = 24  # tokens that are decoded again at each step, at the least


class Characters:
    """Gives out the characters that each token completes; together they are the text of all tokens.

    Bytes that never become a character are given out as a replacement for one once something whole follows. (The
    `DecodeStream` of `tokenizers` raises where a Unigram says a character byte by byte.)
    """

    def __init__(self, decode: Callable[[list[int]], str], tokens: list[int]) -> None:
        """`tokens`: those before, whose text is known; how the first new one is written may depend on them."""
        self._decode, self._tokens = decode, list(tokens)
        self._told, self._whole = len(decode(self._tokens)), len(self._tokens)

    def add(self, token: int) -> str:
        """The characters that `token` completes; "" where it ends inside one."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        whole = text.rstrip(_NOT_YET)
        new = whole[self._told :]
        self._told = max(self._told, len(whole))
        if whole == text:
            last = self._tokens[self._whole :]
            if len(self._tokens) > _WINDOW and (
                said := self._decode(last)
            ):  # what came before changes nothing any more
                self._tokens, self._told = last, len(said)
            self._whole = len(self._tokens)
        return new
