"""The same in a terminal, and within a real one."""

import os
import pty
import re
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sample.test_steps import speaker_of
from tests.serve.conftest import Served
from train.hugging_face import to_hugging_face
from train.sample import Sampling
from train.sample.characters import Characters
from train.serve import open_release, talk


def lines(monkeypatch: pytest.MonkeyPatch, *given: str) -> None:
    ahead = iter(given)

    def read(_: str = "") -> str:
        for line in ahead:
            return line
        raise EOFError

    monkeypatch.setattr("builtins.input", read)


def test_it_says_what_the_model_says_and_whose_words_they_are(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = served.opened.trace
    assert trace is not None
    document = served.opened.document("0", trace.documents()[2].id)
    assert document is not None
    planted = " ".join(document.text.split()[10:30])
    lines(monkeypatch, planted, "", "Cor del")
    said = talk(served.opened)
    out = capsys.readouterr().out
    expected = served.opened.speaker.say("Cor del", Sampling(max_tokens=20))
    assert [one["prompt"] for one in said] == [planted, "Cor del"]
    assert said[1]["text"] == expected
    assert expected.rstrip("\N{REPLACEMENT CHARACTER}") in out
    assert document.title in out
    assert document.authors[0] in out
    assert "does not show that the text caused them" in out


def test_ctrl_c_stops_an_answer_and_nothing_else(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    count, add = 0, Characters.add

    def interrupted(self: Characters, token: int) -> str:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return add(self, token)

    monkeypatch.setattr(Characters, "add", interrupted)
    lines(monkeypatch, "Cor del", "Dan")
    said = talk(served.opened)
    assert "(stopped)" in capsys.readouterr().out
    assert len(said) == 2
    assert len(said[0]["text"]) < len(said[1]["text"]) + 20


def test_escape_sequences_are_not_printed(
    served: Served, plain: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for opened in (served.opened, plain.opened):
        lines(monkeypatch, "\x1b[2J\x1b]0;owned\x07 Cor \u202e")
        talk(opened)
        out = capsys.readouterr().out
        assert not [char for char in out if not (char.isprintable() or char in "\n\t")]
    assert "nothing to trace" in out


def test_a_mask_that_would_drive_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speaker = speaker_of("bert", tmp_path)
    to_hugging_face(speaker.model, tmp_path, speaker.vocabulary.hugging_face())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (tmp_path / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("[MASK]", "\\u001b]0;owned\\u0007"), "utf-8")
    lines(monkeypatch, "arbel")
    talk(open_release(tmp_path, tmp_path / "cache", Sampling()))
    out = capsys.readouterr().out
    assert "write  ]0;owned  where a word is missing" in out
    assert not [char for char in out if not (char.isprintable() or char in "\n\t")]


@pytest.mark.slow
def test_in_a_real_terminal(release: Path, index: Path) -> None:
    """A prompt, an answer that Ctrl-C stops, another that ends, and Ctrl-D."""
    words = [sys.executable, "-m", "train", "chat", str(release), "--terminal", "--cache", str(index)]
    child, main = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored by what a shell has put into the background
        os.execve(words[0], [*words, "--max-tokens", "100000"], {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"})
    seen = ""

    def until(wanted: str, seconds: float = 240) -> None:
        nonlocal seen
        end = time.monotonic() + seconds
        while not re.search(wanted, seen):
            assert time.monotonic() < end, seen[-2000:]
            if select.select([main], [], [], 0.2)[0]:
                seen += os.read(main, 65536).decode("utf-8", "replace")

    try:
        until(r"Ctrl-D ends[^>]*> ")
        os.write(main, b"Cor del\r")
        until(r"Cor del.{30}")
        os.write(main, b"\x03")
        until(r"\(stopped\)[\s\S]*> $")
        os.write(main, b"\x04")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        child = 0
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(main)
