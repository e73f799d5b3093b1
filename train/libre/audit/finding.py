"""What a check is, and how it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from train.libre.audit.subject import Subject
from train.libre.audit.words import WORDS


class Status(Enum):
    """How a check ends. What is absent has failed; "not yet" is what only a rebuild can show;
    "withdrawn" is not applicable since the withdrawal of a text that it would take; "within bounds" is not
    identical, and as near as another seed would be.
    """

    verified = "verified"
    declared = "declared"
    person = "needs a person"
    not_yet = "not yet"
    not_applicable = "not applicable"
    withdrawn = "withdrawn"
    near = "within bounds"
    failed = "failed"


BY_WORD = {"DATA-07", "CONF-02", "WGT-03"}  # what no program can see: may end as declared, or with a person

Answer = tuple[Status, str]


def verified(found: str) -> Answer:
    """The program established it from the release."""
    return Status.verified, found


def failed(found: str) -> Answer:
    """It is not so, or cannot be seen."""
    return Status.failed, found


Checks = Mapping[str, Callable[[Subject], Answer]]
"""Checks by their names; BadInput means failed, for that reason."""


@dataclass(frozen=True)
class Finding:
    """The answer to one check."""

    id: str
    status: Status
    found: str

    @property
    def question(self) -> str:
        """What was asked."""
        return WORDS[self.id][0]

    @property
    def mend(self) -> str:
        """What to do where the answer is no."""
        return WORDS[self.id][1]

    @property
    def holds(self) -> bool:
        """Whether it stands against nobody's freedom."""
        by_word = self.id in BY_WORD and self.status in {Status.declared, Status.person}
        return by_word or self.status in {Status.verified, Status.not_applicable}

    @property
    def is_open(self) -> bool:
        """Whether something can be done about it."""
        return self.status in {Status.failed, Status.not_yet} or (self.status is Status.declared and not self.holds)

    def record(self) -> dict[str, str]:
        """As JSON."""
        return {
            "id": self.id,
            "question": self.question,
            "status": self.status.value,
            "found": self.found,
            "to_do": self.mend if self.is_open else "",
        }
