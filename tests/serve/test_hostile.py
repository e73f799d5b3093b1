"""What comes from outside is refused in words, or is text: hosts, origins, bodies, types, escape sequences, markup."""

import json
import socket
from typing import Any

import pytest

from tests.serve.conftest import Served
from train.serve.asked import LARGEST_BODY, LONGEST_TEXT

SAY = {"prompt": "Cor", "max_tokens": 2}


def raw(served: Served, lines: str) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(lines.replace("\n", "\r\n").encode())
        data = b""
        while part := connection.recv(65536):
            data += part
    return data


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", ""])
def test_another_host_is_refused(served: Served, host: str) -> None:
    for path in ("/", "/static/chat.js", "/api/about", "/v1/models", "/nowhere"):
        status, headers, body = served.request("GET", path, host=host.format(port=served.port))
        assert status == 421
        assert "127.0.0.1" in json.loads(body)["error"]["message"]
        assert "content-security-policy" in headers


def test_no_host_and_two_hosts(served: Served) -> None:
    end = "connection: close\n\n"
    assert b" 400 " in raw(served, f"GET /api/about HTTP/1.1\n{end}")
    twice = f"host: 127.0.0.1:{served.port}\nhost: evil.example\n"
    assert b" 200 " not in raw(served, f"GET /api/about HTTP/1.1\n{twice}{end}").splitlines()[0]
    assert b" 421 " in raw(served, f"GET /api/about HTTP/1.0\n{end}")
    assert b" 200 " in raw(served, f"GET /api/about HTTP/1.1\nhost: localhost:{served.port}\n{end}").splitlines()[0]


@pytest.mark.parametrize("path", ["/api/say", "/api/trace", "/v1/completions", "/v1/chat/completions"])
def test_another_page_may_not_ask(served: Served, path: str) -> None:
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{served.port}", "http://127.0.0.1:1"):
        assert served.request("POST", path, SAY, origin=origin)[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert served.request("POST", path, json.dumps(SAY).encode(), content_type=kind)[0] == 415
    assert served.request("POST", "/api/say", SAY, origin=served.url)[0] == 200
    assert served.request("POST", "/api/say", SAY, origin=f"http://localhost:{served.port}")[0] == 200


def test_every_response_forbids_what_is_not_its_own(served: Served) -> None:
    for path in ("/", "/document", "/static/page.css", "/static/chat.js", "/api/about", "/v1/models", "/nowhere"):
        status, headers, _ = served.request("GET", path)
        assert status == (404 if path == "/nowhere" else 200)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/static/../opened.py", "/static/%2e%2e/opened.py", "/static//etc/passwd", "/static/"]
)
def test_only_the_page_s_own_files(served: Served, path: str) -> None:
    status, _, body = served.request("GET", path)
    assert status == 404
    assert b"error" in body


def test_bodies_that_are_too_large(served: Served) -> None:
    large = json.dumps(SAY | {"more": "x" * LARGEST_BODY}).encode()
    head = f"POST /api/say HTTP/1.1\nhost: 127.0.0.1:{served.port}\ncontent-type: application/json\nconnection: close\n"
    chunks = f"{LARGEST_BODY:x}\n" + "x" * LARGEST_BODY + "\n5\nxxxxx\n0\n\n"
    assert b" 413 " in raw(served, f"{head}content-length: {len(large)}\n\n{large.decode()}").splitlines()[0]
    assert b" 413 " in raw(served, f"{head}transfer-encoding: chunked\n\n{chunks}").splitlines()[0]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"prompt": ' + b"[" * 50_000, b'{"prompt": NaN}', b"null"],
)
def test_bodies_that_are_none(served: Served, body: bytes) -> None:
    for path in ("/api/say", "/api/trace", "/v1/completions"):
        status, _, said = served.request("POST", path, body, content_type="application/json")
        assert status == 400, path
        assert json.loads(said)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("wrong", [None, 3, True, [], {}, "x" * (LONGEST_TEXT + 1)])
def test_prompts_of_a_wrong_type(served: Served, wrong: Any) -> None:
    assert served.request("POST", "/api/say", {"prompt": wrong})[0] == 400


@pytest.mark.parametrize("field", ["temperature", "top_k", "max_tokens", "seed"])
@pytest.mark.parametrize("wrong", ["1", True, [], {}, -1, 1e300, 2**70])
def test_numbers_of_a_wrong_type(served: Served, field: str, wrong: Any) -> None:
    status, _, body = served.request("POST", "/api/say", {"prompt": "Cor", field: wrong})
    assert status == 400
    assert json.loads(body)["error"]["param"] == field


def test_not_a_number_is_none(served: Served) -> None:
    for value in ("NaN", "Infinity", "-Infinity"):
        body = f'{{"prompt": "Cor", "temperature": {value}}}'.encode()
        assert served.request("POST", "/api/say", body, content_type="application/json")[0] == 400


def test_the_coldest_answer_is_the_likeliest(served: Served) -> None:
    likeliest, coldest = (served.request("POST", "/api/say", SAY | {"temperature": t})[2] for t in (0, 1e-39))
    assert coldest == likeliest
    assert json.loads(coldest.splitlines()[-1]) == {"tokens": 2, "cut_short": True}


@pytest.mark.parametrize(
    "prompt",
    ["<script>alert(1)</script>", "\x1b[2J\x1b]0;owned\x07", "\x00", "\ud800 half", "", "\u202e rtl", "🚀" * 50],
)
def test_any_text_is_a_text(served: Served, prompt: str) -> None:
    body = json.dumps({"prompt": prompt, "max_tokens": 2}).encode()
    status, headers, said = served.request("POST", "/api/say", body, content_type="application/json")
    assert status == 200
    assert headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines[0]["pieces"][0] == prompt.encode("utf-8", "replace").decode()
    assert lines[-1] == {"tokens": 2, "cut_short": True}
    assert served.request("POST", "/api/trace", {"text": prompt.encode("utf-8", "replace").decode()})[0] == 200


def test_documents_that_are_not_there(served: Served, plain: Served) -> None:
    for id in ("nothing", "../../etc/passwd", "%00", ""):
        assert served.request("GET", f"/api/document?where=0&id={id}")[0] == 404
    assert served.opened.trace is not None
    there = served.opened.trace.documents()[0].id
    for where, status in (("0", 200), ("1", 404), ("-1", 404), ("", 404), ("x", 404), ("9" * 5000, 404)):
        assert served.request("GET", f"/api/document?where={where}&id={there}")[0] == status
    assert plain.request("GET", "/api/document?where=0&id=x")[0] == 404
    status, _, body = plain.request("POST", "/api/trace", {"text": "Cor"})
    assert status == 404
    assert "nothing to trace" in json.loads(body)["error"]["message"]


def test_a_method_that_is_none(served: Served) -> None:
    assert served.request("GET", "/api/say")[0] == 405
    assert served.request("POST", "/api/about", {})[0] == 405
    assert served.request("DELETE", "/v1/models")[0] == 405


def test_nothing_of_it_reaches_the_log(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    served.request("POST", "/api/say", {"prompt": "\x1b]0;owned\x07", "max_tokens": 2})
    raw(served, "GET /\x1b]0;owned\x07 HTTP/1.1\nconnection: close\n\n")
    said = capfd.readouterr()
    assert "\x1b]0" not in said.out + said.err
