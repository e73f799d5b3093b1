"""As much of the Hub's interface as `datasets` and `huggingface_hub` ask for, over a folder: for tests."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c773ac38a082ca69026b34d0db9c4d73efb76813"


@contextmanager
def serve_hub(folder: Path, repo: str) -> Iterator[tuple[str, list[str]]]:
    """The address, and the names of the files that were taken from it, so far."""
    taken: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer()

        def log_message(self, *words: Any) -> None:
            pass

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
            api, resolve = f"/api/datasets/{repo}", f"/datasets/{repo}/resolve/{COMMIT}/"
            if path.startswith(resolve) and path.removeprefix(resolve) in files:
                self._file(path.removeprefix(resolve))
            elif path in {api, f"{api}/revision/{COMMIT}"}:
                siblings = [{"rfilename": name} for name in files]
                about = {"id": repo, "sha": COMMIT, "private": False, "gated": False, "disabled": False, "tags": []}
                self._json({**about, "downloads": 0, "likes": 0, "siblings": siblings})
            elif path.startswith(f"{api}/tree/{COMMIT}"):
                below = path.removeprefix(f"{api}/tree/{COMMIT}").strip("/")
                self._json(_tree(folder, below))
            elif path == f"{api}/paths-info/{COMMIT}":
                asked = json.loads(self.body)["paths"]
                self._json([row for name in asked for row in _tree(folder, "") if row["path"] == name])
            else:
                self._json({"error": f"no {path}"}, 404)

        def _file(self, name: str) -> None:
            raw = (folder / name).read_bytes()
            begin, end = 0, len(raw)
            if asked := self.headers.get("Range"):
                first, last = asked.removeprefix("bytes=").split("-")
                begin, end = int(first), min(end, int(last or end) + 1)
            if self.command == "GET":
                taken.append(name)
            self.send_response(206 if asked else 200)
            self.send_header("ETag", f'"{hashlib.sha1(raw).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(end - begin))
            if asked:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(raw)}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(raw[begin:end])

        def _json(self, value: Any, status: int = 200) -> None:
            raw = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            if status == 404:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        server.server_close()


def _tree(folder: Path, below: str) -> list[dict[str, Any]]:
    """Everything below a folder of the repository, as the Hub lists it."""
    rows = []
    for path in sorted((folder / below).rglob("*")):
        kind, size = ("file", path.stat().st_size) if path.is_file() else ("directory", 0)
        name = path.relative_to(folder).as_posix()
        rows.append({"type": kind, "path": name, "size": size, "oid": hashlib.sha1(name.encode()).hexdigest()})
    return rows
