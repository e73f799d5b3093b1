"""What the processes say of themselves, and what follows from it. Pure: no clock, no network."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

_GRACE = 8  # beats: once one has failed, a process that is silent for so long is the cause; if none is, the one itself


@dataclass(kw_only=True, frozen=True)
class Word:
    """Where a process stands. `moves` counts its steps and parts, `beat` its signs of life.

    `failure`: a traceback, which may be another's doing; `end`: it leaves with this code, by its own doing;
    `at_length`: what it does may take its time; `left`: it has done its share and is gone.
    """

    rank: int
    node: str
    where: str = "meeting"
    part: str = ""
    moves: int = 0
    beat: int = 0
    at_length: bool = False
    failure: str = ""
    end: int | None = None
    left: bool = False

    def moved(self, where: str) -> "Word":
        """At another place."""
        return replace(self, where=where, part="", moves=self.moves + 1)

    def in_part(self, part: str) -> "Word":
        """In a part of it."""
        return replace(self, part=part, moves=self.moves + 1)

    @property
    def name(self) -> str:
        """ "rank 1 (n2)"."""
        return f"rank {self.rank} ({self.node})"

    @property
    def place(self) -> str:
        """ "step 12, adding up the gradients"."""
        return f"{self.where}, {self.part}" if self.part else self.where


@dataclass(kw_only=True, frozen=True)
class Verdict:
    """Why all processes end, and with which code. `about`: the rank whose doing it is; `lost`: it may still be there,
    and not hear this."""

    code: int
    line: str
    standing: str
    about: int = -1
    lost: bool = False

    def as_json(self) -> str:
        """As it is told to the others."""
        return json.dumps(asdict(self))


class Judge:
    """Looks at all words once a beat. `patience`: beats."""

    def __init__(self, patience: int) -> None:
        self._patience, self._grace = patience, max(1, min(_GRACE, patience // 2))
        self._beats: dict[int, int] = {}
        self._silent: dict[int, int] = {}
        self._moves: list[int] = []
        self._still = self._failing = 0

    def look(self, words: Sequence[Word]) -> Verdict | None:
        """The verdict, if one is due."""
        self._count(words)
        here = [word for word in words if not word.left]
        for word in here:
            if word.end is not None:
                line = f"{word.name} ended: {word.failure}"
                return Verdict(code=word.end, line=line, standing=_standing(words), about=word.rank)
        failed = [word for word in here if word.failure]
        silence = self._grace if failed else self._patience
        for word in here:
            if self._silent[word.rank] >= silence:
                line = f"{word.name} no longer answers; it was last heard of at: {word.place}"
                return Verdict(
                    code=os.EX_TEMPFAIL, line=line, standing=_standing(words), about=word.rank, lost=True
                )  # fmt: skip
        if failed and (self._failing > self._grace or len(here) == 1):
            line = f"{failed[0].name} failed at {failed[0].place}: {failed[0].failure}"
            return Verdict(code=1, line=line, standing=_standing(words), about=failed[0].rank)
        if self._still >= self._patience and len(here) > 1:
            line = f"nothing has moved for {self._still} s"
            return Verdict(code=os.EX_TEMPFAIL, line=line, standing=_standing(words), lost=True)
        return None

    def _count(self, words: Sequence[Word]) -> None:
        for word in words:
            heard = word.beat != self._beats.get(word.rank)
            self._silent[word.rank] = 0 if heard else self._silent[word.rank] + 1
            self._beats[word.rank] = word.beat
        moves = [word.moves for word in words]
        self._still = 0 if moves != self._moves or words[0].at_length else self._still + 1
        self._failing = self._failing + 1 if any(word.failure for word in words) else 0
        self._moves = moves


def _standing(words: Sequence[Word]) -> str:
    """Who stood where, a line for each place."""
    places: dict[str, list[Word]] = {}
    for word in words:
        places.setdefault(word.place, []).append(word)
    return "\n".join(f"  {place}: {_names(there)}" for place, there in places.items())


def _names(words: Sequence[Word]) -> str:
    """ "rank 1 (n2)", "ranks 0-6, 8"."""
    if len(words) == 1:
        return words[0].name
    runs: list[list[int]] = []
    for word in words:
        if runs and runs[-1][1] == word.rank - 1:
            runs[-1][1] = word.rank
        else:
            runs.append([word.rank, word.rank])
    return "ranks " + ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
