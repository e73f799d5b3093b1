"""The verb as a process: it says where it is, answers, and ends cleanly whatever it is doing when it is told to."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.serve.conftest import wait_for
from train.__main__ import main
from train.serve.server import bind


@contextmanager
def process(release: Path, index: Path, told: Path) -> Iterator["subprocess.Popen[str]"]:
    words = ["chat", str(release), "--port", "0", "--cache", str(index), "--json", str(told)]
    done = subprocess.Popen(
        [sys.executable, "-m", "train", *words], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: told.is_file() or done.poll() is not None, 60)
        yield done
    finally:
        done.kill()
        done.wait()


def ask(port: int, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {"content-type": "application/json"})
    return connection.getresponse()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 0, marks=pytest.mark.slow)]
)
def test_a_signal_in_the_middle_of_an_answer(
    release: Path, index: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with process(release, index, tmp_path / "where.json") as done:
        where = json.loads((tmp_path / "where.json").read_text())
        response = ask(where["port"], "POST", "/api/say", '{"prompt": "Cor", "max_tokens": 2048}')
        assert response.readline()
        start = time.monotonic()
        done.send_signal(number)
        rest = response.read().splitlines()
        out, error = done.communicate(timeout=20)
        assert time.monotonic() - start < 8
    assert done.returncode == code, error
    assert "stopped" in json.loads(rest[-1])["error"]["message"]  # who was reading is told
    assert where["url"] in out
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) <= 1
    found = subprocess.run(["pgrep", "-f", f"train audit {release}"], capture_output=True, check=False)
    assert found.stdout == b""  # its audit went with it


@pytest.mark.slow
def test_the_audit_is_computed_while_it_serves(release: Path, index: Path, tmp_path: Path) -> None:
    with process(release, index, tmp_path / "where.json"):
        port = json.loads((tmp_path / "where.json").read_text())["port"]
        assert json.loads(ask(port, "GET", "/api/audit").read()) == {"state": "being computed"}
        found: dict[str, object] = {}

        def is_done() -> bool:
            found.update(json.loads(ask(port, "GET", "/api/audit").read()))
            return found["state"] != "being computed"

        wait_for(is_done, 120)
    assert main(["audit", str(release), "--json", str(tmp_path / "audit.json")]) in {0, 1}
    assert found == {"state": "done", **json.loads((tmp_path / "audit.json").read_text())}


def test_it_listens_on_this_machine_alone() -> None:
    with bind(0) as bound:
        address, port = bound.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(OSError, match="refused"):  # another address of this machine
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_port_that_is_taken(release: Path, index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bind(0) as bound:
        words = ["chat", str(release), "--cache", str(index), "--port", str(bound.getsockname()[1])]
        assert main(words) == 2
    assert "choose another with --port" in capsys.readouterr().err
    assert main(["chat", str(release), "--cache", str(index), "--port", "70000"]) == 2
    assert main(["chat", "nowhere"]) == 2


def test_without_the_extra_it_says_what_to_install(
    release: Path, index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "train.serve.server", None)
    assert main(["chat", str(release), "--cache", str(index)]) == 2
    assert ".[chat]" in capsys.readouterr().err
