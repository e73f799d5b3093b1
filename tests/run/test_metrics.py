"""What goes to wandb where there is no network: parts that it would not join."""

from pathlib import Path
from typing import Any

import pytest

import train.run.metrics as metrics
from train.run import LoggerConfig, LoggerName, Metrics


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
