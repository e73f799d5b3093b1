"""The front door, as a user meets it: exit codes, one line for a mistake, help at once, the README's commands."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, small_run
from train.__main__ import main
from train.records import BadInput
from train.verbs import VERBS


def door(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "train", *map(str, words)],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip


def test_help_at_once() -> None:
    for words in (
        ["--help"],
        [],
        ["generate", "--help"],
        ["evaluate", "--help"],
        ["fetch", "--help"],
        ["trace", "--help"],
        ["compare", "--help"],
        ["chat", "--help"],
    ):
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            done = door(*words)
            seconds.append(time.perf_counter() - start)
            assert done.returncode == 0
            assert "python -m train" in done.stdout
        assert min(seconds) < 1.0, words


def test_alone_it_lists_experiments_and_verbs() -> None:
    out = door().stdout
    for path in (ROOT / "configs" / "experiment").glob("*.yaml"):
        assert f"+experiment={path.stem} " in out
    assert all(f"train {verb}" in out for verb in ("fetch", "generate", "evaluate", "trace", "compare"))


@pytest.mark.parametrize(
    "words",
    [
        ["trian"],
        ["+experiment=smoke", "run.folder=/proc/nowhere"],
        ["+experiment=smoke", "data.sources.sotu.sha256=" + "0" * 64, "data.cache=/tmp/fusee-none", "run.name=x"],
        ["+experiment=tiny", "--json"],
        ["audit"],
        ["trace", "folder", "a", "b", "c"],
        ["requeue"],
        ["plan"],
        ["plan", "+experiment=tiny", "--budget"],
        ["+experiment=tiny", "model.d_model=65536", "run.name=x"],  # 840 GB
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], tmp_path: Path) -> None:
    if words[-1] == "run.name=x":
        words = [*words, f"run.folder={tmp_path}"]
    done = door(*words, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_CONFIG_FILE="/dev/null", PIP_FIND_LINKS="",
                PIP_EXTRA_INDEX_URL="")  # fmt: skip
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["+experiment=tinny"],
        ["+experiment=tiny", "model.d_modle=3"],
        ["generate", "nowhere", "x"],
        ["evaluate", "nowhere"],
        ["audit", "nowhere"],
        ["rebuild", "nowhere"],
        ["remake", "nowhere", "--out", "/tmp/fusee-none"],
        ["trace", "nowhere", "x"],
        ["withdraw", "nowhere", "--text", "id=x", "--why", "x"],
        ["compare", "nowhere", "nowhere"],
        ["compare", "nowhere", "nowhere", "--json", ""],
        ["generate", "nowhere", "x", "--json", "."],
        ["plan", "+experiment=tiny", "--json", "/dev/null/x"],
        ["plan", "+experiment=tiny", "model.d_model=100000000000000000000"],
        ["withdraw", "nowhere", "--text", "id=x", "--why", os.fsdecode(b"demand\xe9")],
    ],
)
def test_a_mistake_of_a_verb_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same in this process, which is quicker."""
    assert main(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_terminal_without_the_letters_shows_others(release: Path) -> None:
    done = door("trace", release, "--author", "Zoë", PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 1
    assert "by Zo" in done.stdout


def test_generate_speaks(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = door("generate", release, "Cor del", "--max-tokens", "12", "--json", tmp_path / "out.json")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("Cor del")
    assert json.loads((tmp_path / "out.json").read_text())["text"].startswith("Cor del")

    def say(*more: str) -> str:
        assert main(["generate", str(release), *more]) == 0
        return capsys.readouterr().out

    assert say("Cor del", "--max-tokens", "12") == first.stdout
    assert say("Cor del", "--max-tokens", "12", "--seed", "5") != first.stdout
    assert "\x1b" not in say("\x1b]0;owned\x07 Cor", "--max-tokens", "2")
    assert main(["generate", str(release), "x", "--temperature", "-1"]) == 2


def test_evaluate_answers(release: Path, tmp_path: Path) -> None:
    done = door("evaluate", release, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["same"] is True


def test_quiet_where_the_output_is_no_terminal(school: Path, tmp_path: Path) -> None:
    done = door(*small_run(school, tmp_path, "optim.steps=12"))
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert "%|" not in done.stdout + done.stderr
    for word in ("release", "bits per byte", "minutes", "sample", "Try next", "digest"):
        assert word in done.stdout
    for name in ("metrics.jsonl", "loss.png", "speed.png", "samples.md", "config.yaml"):
        assert (tmp_path / "small" / name).stat().st_size > 0


def test_a_folder_that_cannot_be_written(school: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    done = door(*small_run(school, tmp_path / "taken"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_memory_that_is_full_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(VERBS, "plan", lambda words: torch.empty(2**56).numel())
    assert main(["plan"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "memory" in line
    monkeypatch.setitem(VERBS, "plan", lambda words: torch.empty(2, 2).mm(torch.empty(3, 3)).numel())
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        main(["plan"])


def test_a_step_that_may_not_fit_is_told_of(
    school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("train.training.free_memory_bytes", lambda device: 1_000_000)
    assert main(small_run(school, tmp_path, "optim.steps=2", "run.publish=1")) == 0
    assert "GB, and 0.0 are free" in capsys.readouterr().out


def test_a_full_disk_in_the_middle_of_a_run(school: Path, tmp_path: Path) -> None:
    """A real limit on the size of files: one line, exit code 2, and the same command goes on once there is room."""
    words = small_run(school, tmp_path)
    limit = "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
    limit += "sys.argv[0] = 'train'; runpy.run_module('train', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", limit, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list((tmp_path / "small").rglob("*.tmp"))
    assert door(*words).returncode == 0


def test_every_command_in_the_documents_is_one_that_the_door_knows(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [ROOT / "README.md", ROOT / "README.fr.md", *(ROOT / "docs").glob("*.md")]
    found = [c for path in texts for c in re.findall(r"python -m train ([^\n`#]+)", _unbroken(path))]
    assert len(found) >= 5
    from train.config import compose

    assert main([]) == 0
    verbs = set(re.findall(r"python -m train (\w+) ", capsys.readouterr().out))
    assert "audit" in verbs
    configs = set()
    for command in sorted(set(found)):
        words = [
            word
            for word in shlex.split(re.sub(r"--(text|without) \S+=(\"[^\"]*\"|\S+)", "", command))
            if word[:2] != "--"
        ]
        if "=" not in words[0]:
            assert words[0] in verbs, command
        configs.add(tuple(word.replace("...", "x") for word in words if "=" in word))
    for config in configs:
        try:
            compose(config)
        except BadInput as error:  # what `make tiny` leaves need not be here
            assert re.search(r"tune.from=runs/\S+/release: there is no such folder", str(error))  # noqa: PT017


def _unbroken(path: Path) -> str:
    """A document, with commands that go on on the next line in one."""
    return re.sub(r"\\\n\s*", " ", path.read_text("utf-8"))


def test_a_closed_pipe_turns_no_answer_into_yes(tmp_path: Path) -> None:
    """What `audit FOLDER | true` does: nobody hears that checks have failed."""
    (tmp_path / "config.json").write_text("{}")
    words = [sys.executable, "-m", "train", "audit", str(tmp_path)]
    assert subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 1
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(words, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in done.stderr
