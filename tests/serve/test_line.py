"""A hundred at once slow down and lose nothing; who leaves frees the place; too many are told so."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import train.serve.line as line_of_all
from tests.serve.conftest import Served, wait_for
from train.sample import Sampling


def say(served: Served, prompt: str, seed: int, length: int = 6) -> str:
    asked = {"prompt": prompt, "max_tokens": length, "seed": seed, "temperature": 0.9, "top_k": 20}
    status, _, body = served.request("POST", "/api/say", asked)
    assert status == 200
    first, *steps, last = [json.loads(line) for line in body.splitlines()]
    assert last["tokens"] == length
    return first["pieces"][0] + "".join(step["text"] for step in steps)


def test_a_hundred_at_once_lose_nothing(served: Served) -> None:
    prompts = [(f"Cor {'del ' * (number % 5)}", number) for number in range(100)]
    with ThreadPoolExecutor(100) as clients:
        said = list(clients.map(lambda asked: say(served, *asked), prompts))
    for (prompt, seed), text in zip(prompts, said, strict=True):
        sampling = Sampling(max_tokens=6, seed=seed, temperature=0.9, top_k=20)
        assert text == served.opened.speaker.say(prompt, sampling).rstrip("\N{REPLACEMENT CHARACTER}")
    assert served.line._inside == 0


def test_those_written_at_once_get_a_token_each_in_turn(served: Served) -> None:
    """One that asks for little is not made to wait for one that asks for much."""
    with ThreadPoolExecutor(2) as clients:
        long = clients.submit(say, served, "Cor", 1, 400)
        wait_for(lambda: served.line._inside == 1)
        say(served, "Dan", 2, 3)
        assert not long.done()
        assert long.result(60).startswith("Cor")


def leave(served: Served, path: str, asked: dict[str, Any], read_first: bool) -> None:
    body = json.dumps(asked)
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{served.port}\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        if read_first:
            connection.recv(4096)
        else:
            wait_for(lambda: served.line._inside > 0)


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_frees_the_place(served: Served, stream: bool) -> None:
    asked = {"model": "small", "prompt": "Cor", "max_tokens": 2048, "stream": stream}
    for _ in range(12):  # more than are written at once
        leave(served, "/v1/completions", asked, stream)
    wait_for(lambda: served.line._inside == 0, 30)
    assert say(served, "Cor", 3, 4)


def test_too_many_are_told_to_come_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_of_all, "_MOST", 0)
    for path, asked in (("/api/say", {"prompt": "Cor"}), ("/v1/completions", {"model": "small", "prompt": "Cor"})):
        status, headers, body = served.request("POST", path, asked)
        assert status == 503
        assert headers["retry-after"]
        assert json.loads(body)["error"]["type"] == "server_error"
