"""What a check is, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from train.libre.audit.subject import Subject


class Status(Enum):
    """How a check ends. What is absent has failed; "not yet" is what only a rebuild can show."""

    verified = "verified"
    declared = "declared"
    person = "needs a person"
    not_yet = "not yet"
    not_applicable = "not applicable"
    failed = "failed"


Answer = tuple[Status, str]


def verified(found: str) -> Answer:
    """The program established it from the release."""
    return Status.verified, found


def failed(found: str) -> Answer:
    """It is not so, or cannot be seen."""
    return Status.failed, found


@dataclass(frozen=True)
class Check:
    """`question` is what is asked, `look` finds the answer (BadInput: failed, for that reason), `mend` what to do."""

    id: str
    question: str
    look: Callable[[Subject], Answer]
    mend: str


@dataclass(frozen=True)
class Finding:
    """The answer to one check."""

    id: str
    question: str
    status: Status
    found: str
    mend: str
