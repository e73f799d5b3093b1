"""The freedoms as commands: so far, to know which texts hold some words, and to lay two releases side by side."""

from train.libre.compare import compare, render_comparison
from train.libre.trace import Answer, Trace, open_trace, render, render_author, text_of

__all__ = [
    "Answer", "Trace", "compare", "open_trace", "render", "render_author", "render_comparison", "text_of",
]  # fmt: skip
