"""Whether all processes of a training are alive and get on: each says where it stands, and the first looks at all.

A thread beside the training writes a word into the store that all share, once a beat: "step 12, adding up". Where a
process is lost or has failed, or nothing moves any more, the first gives the verdict (verdict.py); each process says
it, with who stood where, leaves its stack in its log, and ends. Without this the others would wait for a lost one.

Time is counted in one's own beats, not by clocks: a job that SLURM suspends and resumes as a whole has lost nobody.
"""

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from train.cluster.logs import note
from train.cluster.place import Place
from train.cluster.slurm import kill_step
from train.cluster.verdict import Judge, Verdict, Word
from train.records import BadInput, printable

_BEAT = 1.0  # seconds
_LAST_BEATS = 3  # in which the others hear from the first before it ends


class Lost(Exception):  # noqa: N818 - what happened, not an error
    """Not all processes have come. `code` is what the process should exit with: try again (sysexits.h)."""

    code = os.EX_TEMPFAIL


class Watch:
    """One process's word to the others, and in the first the eye on all.

    `patience`: seconds after which a process that is not heard of is lost, and a training in which nothing moves hangs.
    While the first prepares documents, or all evaluate, nothing moves, for hours perhaps: then only a loss counts.
    """

    def __init__(self, place: Place, patience: float) -> None:
        """Meet the others. Raises Lost, with the ranks of those who have not come within `patience`."""
        self._place, self._patience = place, max(1, round(patience / _BEAT))
        self._word, self._beats = Word(rank=place.rank, node=place.node, at_length=place.first), 0
        self._gone, self._talk = threading.Event(), ThreadPoolExecutor(1, "watch-store")
        self.store, self._own = _open_stores(place, patience)
        self._beat()
        _meet(self._own, place, patience)
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def at(self, where: str) -> None:
        """Say where this process stands: "step 12"."""
        self._word = self._word.moved(where)

    def part(self, name: str) -> None:
        """Say which part of it this is: "adding up"."""
        self._word = self._word.in_part(name)

    @contextmanager
    def at_length(self, what: str) -> Iterator[None]:
        """Something that may take its time."""
        self._word = replace(self._word.in_part(what), at_length=True)
        yield
        self._word = replace(self._word.in_part(""), at_length=False)

    def call(self, *, wanted: bool) -> None:
        """The first's answer to those who wait to be called."""
        self._word = replace(self._word.moved("called"), at_length=not wanted)
        self._own.set("called", str(int(wanted)))

    def called(self) -> bool:
        """Wait for the first's answer."""
        self.at("waiting to be called")
        _until(lambda: self._own.check(["called"]))
        return bool(int(self._own.get("called")))

    def leave(self, error: BaseException | None) -> None:
        """This process ends. Does not return where the cause may be another process: the verdict ends this one too."""
        code = _exit_code(error)
        if error is None or getattr(error, "agreed", False):
            self._leave_together(waiting=error is not None)
        elif code is not None:
            why = f"exit code {code}" if isinstance(error, SystemExit) else printable(str(error))
            self._word = replace(self._word, end=code, failure=why)
            time.sleep(_LAST_BEATS * _BEAT)
        else:
            note("".join(traceback.format_exception(error)))
            self._word = replace(self._word, failure=printable(f"{type(error).__name__}: {error}")[:500])
            self._thread.join()
        self._gone.set()
        self._thread.join()
        with suppress(RuntimeError):
            self._beat()
        self._talk.shutdown(wait=False)

    def _leave_together(self, *, waiting: bool) -> None:
        """The first is the last to go: what it serves is needed until then. `waiting`: it may still have to save."""
        if not self._place.first:
            if waiting:
                self.part("waiting for the first to save")
                _until(lambda: self._own.check(["bye"]))
            self._word = replace(self._word.moved("gone"), left=True)
            return
        self._own.set("bye", "1")
        for _ in range(10 * _LAST_BEATS):
            if all(word.left for word in self._words() if word.rank):
                return
            time.sleep(_BEAT / 10)

    def _beat(self) -> None:
        self._beats += 1
        self._own.set(f"at/{self._place.rank}", json.dumps(vars(replace(self._word, beat=self._beats))))

    def _words(self) -> list[Word]:
        said = self._own.multi_get([f"at/{rank}" for rank in range(self._place.count)])
        return [Word(**json.loads(text)) for text in said]

    def _run(self) -> None:
        judge = Judge(self._patience)
        while not self._gone.wait(_BEAT):
            verdict = self._hear(judge)
            going = self._word.end is not None and verdict is not None and verdict.about == self._place.rank
            if verdict is not None and not going:
                self._fall(verdict)

    def _hear(self, judge: Judge) -> Verdict | None:
        """The verdict, if there is one. A store that is silent is the first's silence."""
        talk = self._talk.submit(self._exchange, judge)
        for _ in range(self._patience):
            try:
                return talk.result(_BEAT)
            except NotYet:
                continue
            except RuntimeError:
                break
        line = "rank 0, or the store that it serves, no longer answers"
        standing = f"  {self._word.place}: {self._word.name}"
        return None if self._gone.is_set() else Verdict(
            code=os.EX_TEMPFAIL, line=line, standing=standing, about=0, lost=True
        )  # fmt: skip

    def _exchange(self, judge: Judge) -> Verdict | None:
        self._beat()
        if not self._place.first:
            return Verdict(**json.loads(self._own.get("verdict"))) if self._own.check(["verdict"]) else None
        verdict = judge.look(self._words())
        if verdict is not None:
            self._own.set("verdict", verdict.as_json())
        return verdict

    def _fall(self, verdict: Verdict) -> None:
        """Say the verdict and end this process, whatever its training does."""
        print(f"{self._word.name}: {verdict.line}\n{verdict.standing}", file=sys.stderr, flush=True)
        if verdict.lost:
            faulthandler.dump_traceback(all_threads=True)
        sys.stdout.flush()
        if self._place.first or verdict.about == 0:
            time.sleep(_LAST_BEATS * _BEAT)
            if verdict.lost:
                kill_step()
        os._exit(verdict.code)


def _open_stores(place: Place, patience: float) -> tuple[Any, Any]:
    """Two ways to one store, for the training and for the watch: a wait on the one does not hold up the other."""
    import torch.distributed

    distributed: Any = torch.distributed  # its types know neither of the stores nor of clones
    limit = timedelta(seconds=patience)
    try:
        store = distributed.TCPStore(place.host, place.port, place.count, place.serves, limit, wait_for_workers=False)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun's store outlives its processes
        prefix = f"fusee-{attempt}"
        return distributed.PrefixStore(prefix, store), distributed.PrefixStore(prefix, store.clone())
    except RuntimeError as error:
        raise Lost(
            f"rank {place.rank} ({place.node}) finds no meeting at {place.host}:{place.port} (MASTER_ADDR and "
            f"MASTER_PORT choose another): {printable(str(error).splitlines()[0])}"
        ) from error


def _meet(store: Any, place: Place, patience: float) -> None:
    names = [f"at/{rank}" for rank in range(place.count)]
    try:
        store.wait(names, timedelta(seconds=patience))
    except RuntimeError as error:
        missing = [str(rank) for rank, name in enumerate(names) if not store.check([name])]
        raise Lost(f"rank {', '.join(missing[:8])} of {place.count} did not come within {patience:.0f} s") from error


def _until(ready: Callable[[], bool]) -> None:
    """Poll: a thread that sleeps hears signals, one that waits in the store does not."""
    while not ready():
        time.sleep(_BEAT / 10)


def _exit_code(error: BaseException | None) -> int | None:
    """What this process will exit with; None where a traceback is due, whose cause may be another process."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    return 2 if isinstance(error, BadInput | OSError) else None
