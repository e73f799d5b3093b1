"""The audit: is this release free in practice? One file for each subject of the checks; `answer` puts them together."""

from train.libre.audit.answer import Audit, ask, attest, audit, look_at_inputs, render
from train.libre.audit.finding import Status
from train.libre.audit.own import remember
from train.libre.audit.subject import Base, Subject

__all__ = [
    "Audit", "Base", "Status", "Subject", "ask", "attest", "audit", "look_at_inputs", "remember", "render"
]  # fmt: skip
