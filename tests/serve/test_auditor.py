"""The audit in the background: its answer, or why there is none."""

import asyncio
import sys
from pathlib import Path

import pytest

from train.serve.auditor import Auditor

pytestmark = pytest.mark.slow


def answer_of(folder: Path) -> dict[str, object]:
    auditor = Auditor(folder)
    assert auditor.answer == {"state": "being computed"}
    asyncio.run(auditor.audit())
    return auditor.answer


def test_why_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer_of(tmp_path / "nothing")
    assert found["state"] == "failed"
    assert "no such folder" in str(found["why"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert answer_of(tmp_path)["state"] == "failed"


def test_a_folder_that_is_no_release_is_audited(tmp_path: Path) -> None:
    found = answer_of(tmp_path)
    assert found["state"] == "done"
    assert "SEAL-01" in str(found["failed"])


def test_it_is_killed_when_it_is_no_longer_wanted(tmp_path: Path) -> None:
    async def leave() -> None:
        task = asyncio.create_task(Auditor(tmp_path).audit())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(tmp_path) not in status.read_text("utf-8", "replace")
        except OSError:
            continue
