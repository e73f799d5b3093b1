"""The freedoms as commands that can fail: so far, to know which texts hold some words (`trace`)."""

from train.libre.trace import Answer, Trace, open_trace, render, render_author, text_of

__all__ = ["Answer", "Trace", "open_trace", "render", "render_author", "text_of"]
