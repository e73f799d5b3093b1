"""SIGTERM, SIGUSR1 (SLURM's `--signal=USR1@120`) and Ctrl-C ask for a stop: the handler sets a flag, the loop saves at
the end of its step and leaves."""

import signal
from types import FrameType, TracebackType
from typing import Any


class Stopped(Exception):  # noqa: N818 - what happened, not an error
    """The run was asked to stop, and has saved. `code` is what the process should exit with (128 + signal); `agreed`:
    several processes have stopped together."""

    agreed = True

    def __init__(self, number: int, step: int) -> None:
        self.name, self.code = signal.Signals(number).name, 128 + number
        super().__init__(f"stopped by {self.name} after step {step}, saved; the same command goes on from there")


class StopFlag:
    """While it is entered, the first such signal is remembered in `received`; a second SIGINT interrupts."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopFlag":
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.received = number
