"""What a run reports: metrics.jsonl always, a progress bar on a terminal, wandb where it is asked for."""

import json
import os
import secrets
import sys
from dataclasses import dataclass, field
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from train.records import MACHINE, BadInput, printable_lines, write_atomically


class LoggerName(Enum):
    """Where metrics go beside metrics.jsonl."""

    none = "none"
    wandb = "wandb"


class WandbMode(Enum):
    """`offline` writes into the run folder, for `wandb sync` later; `online` needs an account."""

    offline = "offline"
    online = "online"


@dataclass(kw_only=True)
class LoggerConfig:
    """Nothing here is part of the recipe."""

    name: LoggerName = field(default=LoggerName.none, metadata=MACHINE)
    mode: WandbMode = field(default=WandbMode.offline, metadata=MACHINE)
    project: str = field(default="fusee", metadata=MACHINE)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; a last line that was cut short is left out."""
    rows = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class Metrics:
    """Appends to `folder`/metrics.jsonl, from `step` on: lines of steps that will be done again are taken out first."""

    def __init__(self, folder: Path, step: int, logger: LoggerConfig, name: str, config: dict[str, Any]) -> None:
        path = folder / "metrics.jsonl"
        kept = [row for row in read_metrics(path) if row["step"] <= step]
        with write_atomically(path) as file:
            file.writelines(json.dumps(row) + "\n" for row in kept)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._wandb = _start_wandb(folder, logger, name, config) if logger.name is LoggerName.wandb else None
        self._offline = self._wandb is not None and logger.mode is WandbMode.offline
        for row in kept if self._offline else ():  # wandb joins no offline parts: the last one holds the whole run
            self._send(**row)

    def log(self, step: int, **values: Any) -> None:
        """One line. Text goes to the file alone."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._send(step, **values)

    def _send(self, step: int, **values: Any) -> None:
        if self._wandb is not None:
            numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
            self._wandb.log(numbers, step=step)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file and end the wandb run."""
        self._file.close()
        if self._wandb is not None:
            self._wandb.finish()
            if self._offline:
                say(f"wandb      where there is a network: wandb sync {Path(self._wandb.dir).parent}")


def check_logger(logger: LoggerConfig) -> None:
    """Raises BadInput if wandb is asked for and is not there."""
    if logger.name is LoggerName.wandb and find_spec("wandb") is None:
        raise BadInput("logger=wandb needs the package wandb: in Fusée's folder, pip install -e '.[wandb]'")


def _start_wandb(folder: Path, logger: LoggerConfig, name: str, config: dict[str, Any]) -> Any:
    check_logger(logger)
    import wandb

    identity = folder / "wandb-id"
    if not identity.is_file():
        with write_atomically(identity) as file:
            file.write(secrets.token_hex(4))
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        return wandb.init(
            project=logger.project,
            name=name,
            id=identity.read_text("utf-8"),
            dir=str(folder),
            mode=logger.mode.value,
            config=config,
            resume="allow" if logger.mode is WandbMode.online else None,
            settings=wandb.Settings(console="off"),
        )
    except wandb.errors.Error as error:  # no account, no network
        raise BadInput(f"logger=wandb: {error}. Without an account: logger.mode=offline") from error


def progress(name: str, total: int, unit: str, initial: int = 0) -> "tqdm[Any]":
    """One bar per stage; nothing where the output is not a terminal."""
    return tqdm(
        total=total or None, desc=f"{name:<10}", unit=unit, unit_scale=True, initial=initial, disable=None,
        dynamic_ncols=True, smoothing=0.1,
    )  # fmt: skip


def say(text: str) -> None:
    """A line for the user, that does not break a progress bar nor drive the terminal.

    Where nobody listens any more, the work goes on.
    """
    try:
        tqdm.write(printable_lines(text))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
