"""The same in a terminal: a prompt, the answer as it is drawn, the passages under it."""

import sys
from contextlib import closing, suppress

from train.libre import render
from train.records import BadInput, printable, printable_lines
from train.sample import Answer
from train.serve.opened import Opened
from train.tokens import Message

_PASSAGES = 3


def talk(opened: Opened) -> list[dict[str, str]]:
    """Ask until the end of input (Ctrl-D); Ctrl-C stops an answer. Returns what was asked and what was said."""
    with suppress(ImportError):
        import readline  # noqa: F401 - input() then edits the line
    print(f"{opened.name}: {printable(opened.about['what'])}\nCtrl-C stops an answer, Ctrl-D ends.\n")
    said: list[dict[str, str]] = []
    while (prompt := _read()) is not None:
        if not prompt.strip():
            continue
        try:
            answer = _ask(opened, said, prompt)
            _write(opened, answer)
            said.append({"prompt": prompt, "text": answer.text()})
            _trace(opened, answer)
        except BadInput as error:
            print(f"error: {printable(str(error))}")
    return said


def _read() -> str | None:
    """A line, halves of characters replaced; Ctrl-C begins it again."""
    while True:
        try:
            return input("> " if sys.stdin.isatty() else "").encode("utf-8", "replace").decode()
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()


def _ask(opened: Opened, said: list[dict[str, str]], prompt: str) -> Answer:
    """The prompt as the model takes it: a message after all that was said, if it was tuned to answer these."""
    if not opened.converses:
        return opened.speaker.complete(prompt)
    before = [Message(*turn) for one in said for turn in (("user", one["prompt"]), ("assistant", one["text"]))]
    return opened.speaker.reply([*before, Message("user", prompt)])


def _write(opened: Opened, answer: Answer) -> None:
    """What comes at the end of a text is shown as it comes; what is filled in, when all is there."""
    at_the_end = answer.blanks == [len(answer.tokens)]
    if at_the_end:
        print(printable_lines(answer.pieces()[0]), end="", flush=True)
    try:
        with closing(answer.steps(opened.sampling)) as steps:
            for step in steps:
                if at_the_end:
                    print(printable_lines(step.text), end="", flush=True)
    except KeyboardInterrupt:
        print(" (stopped)", end="")
    print("" if at_the_end else printable_lines(answer.text()))


def _trace(opened: Opened, answer: Answer) -> None:
    if opened.trace is None:
        print(f"\n({opened.untraceable})\n")
        return
    found = opened.trace.text(answer.text(), most=_PASSAGES)
    print(f"\n{render(found)}\n")
