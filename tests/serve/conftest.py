"""Servers to ask: of the small release, of a tuned one, of one with a chat template, of a folder without documents."""

import http.client
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import make_text, small_run, write_school
from tests.tune.lessons import SAID, tuning
from train.config import compose
from train.recipe import run_recipe
from train.sample import Sampling
from train.serve import Opened, open_release
from train.serve.auditor import Auditor
from train.serve.line import Line
from train.serve.server import Server, bind

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
QUESTION = 'Where does "cor del" stand?'
LESSON = 'It stands in "Corbel",\nline 7: cor del en dan.'


@dataclass
class Served:
    """A server within this process."""

    opened: Opened
    port: int
    line: Line

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers and the body that come back; `headers` with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, named = json.dumps(body).encode(), {"content-type": "application/json"} | named
        connection.request(method, path, body, named)
        response = connection.getresponse()
        try:
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def serving(opened: Opened) -> Iterator[Served]:
    with bind(0) as bound:
        port = bound.getsockname()[1]
        server = Server(opened, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Auditor, "audit", _no_audit)  # it begins with the server
            thread.start()
            wait_for(lambda: server.started)
        yield Served(opened, port, server.line)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


async def _no_audit(self: Auditor) -> None:
    """As it is while it is being computed: the real one is asked for in test_audit."""


def wait_for(holds: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="session")
def served(release: Path, index: Path) -> Iterator[Served]:
    with serving(open_release(release, index, Sampling(max_tokens=20))) as found:
        yield found


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release that was tuned until it says its lesson, which holds quotes and a line end; and its base."""
    school, lessons, runs = (tmp_path_factory.mktemp(name) for name in ("school", "lessons", "runs"))
    run_recipe(compose(small_run(write_school(school), runs, "model.seq_len=128")))
    rows = []
    for number in range(40):
        words = make_text(100 + number, 12).split()
        asked = {"role": "user", "content": f'Where does "{words[3]} {words[4]}" stand?'}
        about = {"id": f"lesson-{number}", "title": f"Lesson {number}", "authors": ["Ann Teacher"], **SAID}
        rows.append({"messages": [asked, {"role": "assistant", "content": LESSON}], **about})
    (lessons / "lessons.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    base, longer = runs / "small" / "release", ("optim.steps=300", "optim.adamw_lr=0.01", "run.name=taught")
    run_recipe(compose(tuning(base, lessons, runs, "sft", *longer)))
    return runs / "taught" / "release", base


@pytest.fixture(scope="session")
def taught(tuned: tuple[Path, Path], index: Path) -> Iterator[Served]:
    """It, with its base at hand; it says what it finds likeliest."""
    release, base = tuned
    with serving(open_release(release, index, Sampling(max_tokens=60, temperature=0.0), [base])) as found:
        yield found


@pytest.fixture(scope="session")
def conversing(release: Path, index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("conversing") / "release"
    shutil.copytree(release, folder)
    about = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(about | {"chat_template": TEMPLATE}))
    with serving(open_release(folder, index, Sampling(max_tokens=8))) as found:
        yield found


@pytest.fixture(scope="session")
def plain(release: Path, index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Any folder in Hugging Face's format: a model and a tokenizer."""
    folder = tmp_path_factory.mktemp("plain") / "some-model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(release / name, folder / name)
    with serving(open_release(folder, index, Sampling())) as found:
        yield found
