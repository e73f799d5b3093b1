"""A suffix array over all training tokens: every passage of a text that stands in them is found by bisection.

Manber and Myers, "Suffix Arrays", 1993; made by libdivsufsort (Mori), which sorts bytes: tokens are laid out with
their high byte first, and of the sorted suffixes those that begin at a token are kept. On disk, memory-mapped: 2 bytes
a token (4 for a vocabulary beyond 65,536) for the text, and 4 for the array (8 beyond two thousand million tokens).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.records import BadInput, read_json, write_atomically, write_json
from train.tokens import TokenStore

Ints = npt.NDArray[np.int64]

_CHUNK = 2**22
_WINDOW = 32  # tokens compared at once, at most; where all are equal, the next ones are looked at
_BEFORE_ALL, _AFTER_ALL = -1, 2**40  # what stands for the end of a query: less, or more, than every token


@dataclass(frozen=True)
class Place:
    """Equal tokens: query[start : start + length] is text[place : place + length], which occurs `count` times."""

    start: int
    length: int
    count: int
    places: tuple[int, ...]


def build_index(store: TokenStore, folder: Path) -> None:
    """Write the index of a token store: tokens.bin, suffixes.bin and, when both are complete, index.json."""
    from pydivsufsort import divsufsort

    tokens = _all_tokens(store)
    dtype = tokens.dtype
    with write_atomically(folder / "tokens.bin", "wb") as file:
        file.write(tokens.data)
    width = dtype.itemsize
    by_byte = divsufsort(tokens.byteswap(inplace=True).view(np.uint8))
    wide = np.dtype("<i4" if len(tokens) < 2**31 else "<i8")
    with write_atomically(folder / "suffixes.bin", "wb") as file:
        for start in range(0, len(by_byte), _CHUNK):
            part = by_byte[start : start + _CHUNK]
            file.write((part[part % width == 0] // width).astype(wide).data)
    write_json(
        folder / "index.json", {"tokens": store.digest, "count": len(tokens), "dtype": dtype.str, "array": wide.str}
    )


def _all_tokens(store: TokenStore) -> npt.NDArray[np.integer]:
    """Beside these no second copy is kept: the sorting needs the memory."""
    tokens = np.empty(len(store), "<u2" if store.vocab_size <= 2**16 else "<u4")
    at = 0
    for part in store.shards():
        tokens[at : at + len(part)] = part
        at += len(part)
    return tokens


def open_index(folder: Path, digest: str) -> "Index":
    """The index in `folder`. Raises BadInput if it is not that of the tokens with this digest, or not whole."""
    about = read_json(folder / "index.json")
    try:
        tokens = np.memmap(folder / "tokens.bin", about["dtype"], "r")
        suffixes = np.memmap(folder / "suffixes.bin", about["array"], "r")
        whole = about["tokens"] == digest and len(tokens) == len(suffixes) == about["count"]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BadInput(f"{folder}: not an index that can be read ({error}); delete it, and it is made again") from error
    if not whole:
        raise BadInput(f"{folder}: the index of another text, or cut short; delete it, and it is made again")
    return Index(tokens, suffixes)


class Index:
    """The tokens of a text, (n,), and where its suffixes begin in alphabetical order, (n,)."""

    def __init__(self, tokens: npt.NDArray[np.integer], suffixes: npt.NDArray[np.integer]) -> None:
        self.tokens, self.suffixes = tokens, suffixes

    def longest(self, query: Ints) -> Ints:
        """For each place in `query`, (q,), how many tokens from there on stand together in the text."""
        starts, stops = np.arange(len(query)), np.full(len(query), len(query))
        at = self._rank(query, starts, stops, _BEFORE_ALL)
        above = self._common(np.minimum(at, len(self.suffixes) - 1), query, starts, stops)
        below = self._common(np.maximum(at - 1, 0), query, starts, stops)
        return np.maximum(above, below)

    def inside(self, query: Ints, at_least: int) -> npt.NDArray[np.bool_]:
        """(q,): which tokens of `query` lie in a passage of so many tokens, or more, that stands in the text."""
        lengths = self.longest(query)
        edges, starts = np.zeros(len(query) + 1, np.int64), np.flatnonzero(lengths >= at_least)
        np.add.at(edges, starts, 1)
        np.add.at(edges, starts + lengths[starts], -1)
        return np.asarray(edges.cumsum()[:-1] > 0)

    def passages(self, query: Ints, at_least: int, most_places: int = 3) -> list[Place]:
        """The passages of `query` of so many tokens that stand in the text and in no longer one; the longest first."""
        lengths = self.longest(query)
        reach = lengths + np.arange(len(query))
        own = np.concatenate([[True], reach[1:] > reach[:-1]])  # what begins earlier and reaches as far holds it
        starts = np.flatnonzero(own & (lengths >= at_least))
        return sorted(self.find(query, starts, lengths[starts], most_places), key=lambda place: -place.length)

    def find(self, query: Ints, starts: Ints, lengths: Ints, most_places: int) -> list[Place]:
        """Where each query[start : start + length] stands, and how often."""
        stops = starts + lengths
        first, last = (self._rank(query, starts, stops, end) for end in (_BEFORE_ALL, _AFTER_ALL))
        return [
            Place(
                int(start), int(length), int(b - a), tuple(np.sort(self.suffixes[a : min(b, a + most_places)]).tolist())
            )
            for start, length, a, b in zip(starts, lengths, first, last, strict=True)
        ]

    def _rank(self, query: Ints, starts: Ints, stops: Ints, end: int) -> Ints:
        """How many suffixes come before query[start:stop], whose end counts as `end`; all at once."""
        low, high = np.zeros(len(starts), np.int64), np.full(len(starts), len(self.suffixes))
        while len(alive := np.flatnonzero(low < high)):
            middle = (low[alive] + high[alive]) // 2
            before = self._comes_before(middle, query, starts[alive], stops[alive], end)
            low[alive] = np.where(before, middle + 1, low[alive])
            high[alive] = np.where(before, high[alive], middle)
        return low

    def _comes_before(self, ranks: Ints, query: Ints, starts: Ints, stops: Ints, end: int) -> npt.NDArray[np.bool_]:
        common = self._common(ranks, query, starts, stops)
        mine = self._read(self.suffixes[ranks].astype(np.int64) + common)
        place = starts + common
        theirs = np.where(place < stops, query[np.minimum(place, len(query) - 1)], end)
        return mine < theirs

    def _common(self, ranks: Ints, query: Ints, starts: Ints, stops: Ints) -> Ints:
        """How many tokens the suffixes of these ranks have in common with query[start:stop]."""
        begins, common = self.suffixes[ranks].astype(np.int64), np.zeros(len(ranks), np.int64)
        alive, width = np.arange(len(ranks)), 2
        while len(alive):
            offsets = common[alive, None] + np.arange(width)
            place = starts[alive, None] + offsets
            asked = np.where(place < stops[alive, None], query[np.minimum(place, len(query) - 1)], -2)
            equal = self._read(begins[alive, None] + offsets) == asked
            run = np.where(equal.all(1), width, equal.argmin(1))
            common[alive] += run
            alive = alive[run == width]
            width = min(2 * width, _WINDOW)  # most suffixes part at once
        return common

    def _read(self, places: Ints) -> Ints:
        """The tokens at these places; behind the last, something less than every token."""
        inside = places < len(self.tokens)
        read: Ints = np.where(inside, self.tokens[np.minimum(places, len(self.tokens) - 1)].astype(np.int64), -1)
        return read
