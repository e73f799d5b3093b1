"""What one document says of another: the same text, or nearly the same, as an earlier one that was kept.

The fingerprint of a text is taken of it alone, wherever it is read; that one text is another's is told where the
documents stand in their order.
"""

import hashlib
import re
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from train.documents.rules import Verdict
from train.documents.seen import Seen

_HASHES = 128


@dataclass(frozen=True)
class Fingerprint:
    """The SHA-256 of a text but for case and spacing, and its `sketch`, (128,) uint32."""

    exact: bytes
    sketch: npt.NDArray[np.uint32]


def fingerprint(text: str) -> Fingerprint:
    """What a text is told by."""
    return Fingerprint(hashlib.sha256(" ".join(text.casefold().split()).encode()).digest(), _sketch(text))


def _sketch(text: str) -> npt.NDArray[np.uint32]:
    """The MinHash of a text's sets of five words in a row, (128,) uint32."""
    import rensa

    sketch = rensa.RMinHash(num_perm=_HASHES, seed=42)
    words = re.findall(r"\w+", text.casefold())
    runs = zip(*(words[first:] for first in range(5)), strict=False) if len(words) > 5 else [words]
    sketch.update(list(map(" ".join, runs)))
    return np.array(sketch.digest(), np.uint32)


class Duplicates:
    """The rules that remember: a document that is held against the earlier ones and kept is known to later ones."""

    def __init__(self, similarity: float) -> None:
        self._exact, self._near = ExactDuplicates(), NearDuplicates(similarity)

    def check(self, identity: str, text: Fingerprint) -> tuple[str, int, tuple[str, str]] | None:
        """The rule that takes this text out, its version (which changes with what it does), and what it says."""
        if verdict := self._exact.check(identity, text):
            return "duplicate", 1, verdict
        if verdict := self._near.check(identity, text):
            return "near_duplicate", 2, verdict
        return None


class ExactDuplicates:
    """Leaves out a text that is another's but for case and spacing."""

    def __init__(self) -> None:
        self._texts = Seen()

    def check(self, identity: str, text: Fingerprint) -> Verdict:
        """The earlier document of the same text, if there is one."""
        earlier = self._texts.add(text.exact, identity)
        return None if earlier is None else (earlier, "the same text as an earlier document")


class NearDuplicates:
    """Leaves out a text whose sets of five words in a row overlaps an earlier one's: MinHash and banding (LSH).

    Broder, "On the resemblance and containment of documents", 1997. The last `_REMEMBERED` texts that were kept are
    remembered, each by its sketch, and by one place for each of its bands in a table of fixed size, where a later text
    takes an earlier one's: memory is bounded (220 MB, taken as it is needed), however many documents come.
    """

    _BANDS = 32  # of 4 hashes: a pair of similarity 0.7 is looked at with a chance of 99.98 %, of 0.5 with 87 %
    _REMEMBERED = 2**18
    _PLACES = 2**24

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._count = 0
        self._ids: list[str] = []
        self._sketches = np.zeros((self._REMEMBERED, _HASHES), np.uint32)
        self._places = np.zeros(self._PLACES, np.uint32)  # the number of a text, from 1; 0 where there is none

    def check(self, identity: str, text: Fingerprint) -> Verdict:
        """The earlier document that this one is alike to, if there is one."""
        sketch, places = text.sketch, self._places_of(text.sketch)
        for number in sorted(set(self._places[places].tolist())):
            if number > max(0, self._count - self._REMEMBERED):
                slot = (number - 1) % self._REMEMBERED
                likeness = float((self._sketches[slot] == sketch).mean())
                if likeness >= self._similarity:
                    return (
                        f"{self._ids[slot]} {likeness:.2f}",
                        f"at least {self._similarity} alike to an earlier document",
                    )
        self._remember(identity, sketch, places)
        return None

    def _places_of(self, sketch: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Where the bands of a sketch stand in the table, (bands,) int64."""
        data, size = sketch.astype("<u4").tobytes(), 4 * _HASHES // self._BANDS  # bytes of a band
        bands = (data[start : start + size] for start in range(0, len(data), size))
        return np.array([crc32(band, number) % self._PLACES for number, band in enumerate(bands)])

    def _remember(self, identity: str, sketch: npt.NDArray[np.uint32], places: npt.NDArray[np.int64]) -> None:
        slot = self._count % self._REMEMBERED
        self._ids[slot : slot + 1] = [identity]
        self._sketches[slot] = sketch
        self._count += 1
        self._places[places] = self._count
