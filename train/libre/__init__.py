"""The freedoms as commands: to know which texts hold some words, to ask whether a release is free, to lay
two of them side by side."""

from train.libre.audit import Audit, attest, audit
from train.libre.audit import render as render_audit
from train.libre.compare import compare, render_comparison
from train.libre.examine import Examined, examine
from train.libre.rebuild import LEVELS, is_made_by_this, rebuild, run_their_program
from train.libre.remake import remake
from train.libre.trace import Answer, Trace, open_trace, render, render_author, text_of
from train.libre.withdraw import Withdrawal, withdraw

__all__ = [
    "LEVELS", "Answer", "Audit", "Examined", "Trace", "Withdrawal", "attest", "audit", "compare", "examine",
    "is_made_by_this", "open_trace", "rebuild", "remake", "render", "render_audit", "render_author",
    "render_comparison", "run_their_program", "text_of", "withdraw",
]  # fmt: skip
