"""What goes to wandb where there is no network: parts that it would not join."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import train.run.metrics as metrics
from tests.conftest import ROOT
from train.records import BadInput
from train.run import LoggerConfig, LoggerName, Metrics
from train.run.metrics import WandbMode


class Recorder:
    """Stands for an offline run of wandb."""

    def __init__(self, folder: Path) -> None:
        self.dir, self.rows = str(folder / "wandb" / "offline-run-1" / "files"), []

    def log(self, numbers: dict[str, Any], step: int) -> None:
        self.rows.append((step, numbers))

    def finish(self) -> None:
        pass


def test_the_last_offline_part_holds_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [Recorder(tmp_path), Recorder(tmp_path)]
    opened = iter(parts)
    monkeypatch.setattr(metrics, "_start_wandb", lambda *_: next(opened))
    for first, last in ((0, 3), (2, 4)):  # stopped after its third step, whose checkpoint is damaged
        with Metrics(tmp_path, first, LoggerConfig(name=LoggerName.wandb), "x", {}) as run:
            for step in range(first + 1, last + 1):
                run.log(step, loss=1 / step, samples=["text"])
    assert parts[1].rows == [(step, {"loss": 1 / step}) for step in (1, 2, 3, 4)]
    assert f"wandb sync {tmp_path / 'wandb' / 'offline-run-1'}" in capsys.readouterr().out


def test_no_account_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real wandb, asked to go online where nobody has logged in."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadInput, match=r"logger\.mode=offline"):
        Metrics(tmp_path, 0, LoggerConfig(name=LoggerName.wandb, mode=WandbMode.online), "x", {})


def test_nobody_listens_any_more() -> None:
    """`python -m train ... | head -1`: the work goes on to its end."""
    talk = "from train.run import say\nfor _ in range(20): say('x' * 10_000)\nimport sys; print('end', file=sys.stderr)"
    with subprocess.Popen([sys.executable, "-u", "-c", talk], stdout=-1, stderr=-1, text=True, cwd=ROOT) as process:
        process.stdout.close()
        assert process.stderr.read().strip() == "end"
    assert process.returncode == 0
