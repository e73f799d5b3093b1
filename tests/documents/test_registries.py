"""Packages are taken by hash from whatever index pip is configured with; here, one on this machine."""

import base64
import functools
import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.test_archives import entry, tar_of, zip_of
from train.documents.registries import fetch_package
from train.records import BadInput


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index with one sdist (whose setup.py must never run) and one wheel."""
    served = tmp_path / "served"
    page = served / "simple" / "old-texts"
    page.mkdir(parents=True)
    setup = b"open('/tmp/fusee-setup-ran', 'w').write('it ran')\n"
    sdist = tar_of(
        served / "old_texts-1.0.tar.gz", (entry("old_texts-1.0/setup.py"), setup), (entry("old_texts-1.0/a.txt"), b"A")
    )
    wheel = zip_of(served / "old_texts-1.0-py3-none-any.whl", "old_texts/a.txt", b"A")
    links = "".join(
        f'<a href="../../{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}">{path.name}</a>'
        for path in (sdist, wheel)
    )
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield served
    server.shutdown()


@pytest.fixture
def npm_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An npm registry with one package, whose scripts must never run."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    manifest = {"name": "old-texts", "version": "1.0.0", "scripts": {"prepare": "touch /tmp/fusee-script-ran"}}
    tarball = tar_of(
        tmp_path / "old-texts-1.0.0.tgz",
        (entry("package/package.json"), json.dumps(manifest).encode()),
        (entry("package/a.txt"), b"A"),
    )
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = f"http://127.0.0.1:{self.server.server_port}/tarball.tgz"
            version = {**manifest, "dist": {"tarball": where, "integrity": integrity}}
            packument = {"name": "old-texts", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            body = tarball.read_bytes() if self.path.endswith(".tgz") else json.dumps(packument).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    yield tarball
    server.shutdown()


def test_an_npm_package_is_packed_and_never_run(npm_registry: Path, tmp_path: Path) -> None:
    mark = Path("/tmp/fusee-script-ran")
    mark.unlink(missing_ok=True)
    fetched = fetch_package("npm", "old-texts", "1.0.0", sha256_of(npm_registry), tmp_path / "cache")
    assert sha256_of(fetched) == sha256_of(npm_registry)
    assert not mark.exists()
    with pytest.raises(BadInput, match="sha256"):
        fetch_package("npm", "old-texts", "1.0.0", "0" * 64, tmp_path / "cache")


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_sdist_is_taken_by_hash_and_never_run(index: Path, tmp_path: Path) -> None:
    mark = Path("/tmp/fusee-setup-ran")
    mark.unlink(missing_ok=True)
    digest = sha256_of(index / "old_texts-1.0.tar.gz")
    fetched = fetch_package("sdist", "old_texts", "1.0", digest, tmp_path / "cache")
    assert sha256_of(fetched) == digest
    assert not mark.exists()


def test_a_second_fetch_needs_no_network(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = sha256_of(index / "old_texts-1.0.tar.gz")
    first = fetch_package("sdist", "old_texts", "1.0", digest, tmp_path / "cache")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert fetch_package("sdist", "old_texts", "1.0", digest, tmp_path / "cache") == first


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_another_hash_is_refused(index: Path, tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadInput, match="sha256"):
        fetch_package(kind, "old_texts", "1.0", "0" * 64, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "archives").iterdir())


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_no_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(BadInput, match=r"train fetch"):
        fetch_package(kind, "old-texts", "1.0", "0" * 64, tmp_path / "cache")


def test_a_damaged_file_in_the_cache_is_fetched_again(index: Path, tmp_path: Path) -> None:
    digest = sha256_of(index / "old_texts-1.0.tar.gz")
    first = fetch_package("sdist", "old_texts", "1.0", digest, tmp_path / "cache")
    first.write_bytes(b"damaged")
    assert sha256_of(fetch_package("sdist", "old_texts", "1.0", digest, tmp_path / "cache")) == digest
