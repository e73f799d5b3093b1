"""Archives come from outside: what leaves them or links out of them is refused before a byte is used."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

import train.documents.archives as archives
from train.documents.archives import Archive
from train.records import BadInput


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_of(path: Path, name: str, data: bytes = b"x", mode: int = 0o100644) -> Path:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, data)
    return path


def test_reads_files_of_both_kinds(tmp_path: Path) -> None:
    for path in (
        tar_of(tmp_path / "a.tgz", (entry("p/a.txt"), b"hello"), (entry("p", tarfile.DIRTYPE), b"")),
        zip_of(tmp_path / "a.whl", "p/a.txt", b"hello"),
    ):
        with Archive(path) as archive:
            assert archive.names == ["p/a.txt"]
            assert archive.read("p/a.txt") == b"hello"
            with pytest.raises(BadInput, match="no file"):
                archive.read("p/b.txt")


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "a\\b"])
def test_a_path_that_leaves_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="leaves the archive"):
        Archive(tar_of(tmp_path / "a.tgz", (entry(name), b"x")))
    with pytest.raises(BadInput, match="leaves the archive"):
        Archive(zip_of(tmp_path / "a.whl", name))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(BadInput, match="link or a device"):
        Archive(tar_of(tmp_path / "a.tgz", (entry("a", kind, "/etc/passwd"), b"")))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="link"):
        Archive(zip_of(tmp_path / "a.whl", "a", b"/etc/passwd", 0o120777))


def test_a_member_that_is_damaged(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.whl", "a", b"some text that is stored as it is")
    path.write_bytes(path.read_bytes().replace(b"some text", b"same text"))
    with Archive(path) as archive, pytest.raises(BadInput, match="cannot be read"):
        archive.read("a")


def test_too_large_and_not_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zip_of(tmp_path / "a.whl", "a", b"x" * 11)
    with monkeypatch.context() as limits:
        limits.setattr(archives, "MAX_MEMBER_BYTES", 10)
        with pytest.raises(BadInput, match="larger than"):
            Archive(path)
    (tmp_path / "b.whl").write_bytes(b"neither zip nor tar")
    with pytest.raises(BadInput, match="not an archive"):
        Archive(tmp_path / "b.whl")
    whole = tar_of(tmp_path / "c.tgz", (entry("a"), bytes(range(256)) * 40)).read_bytes()
    (tmp_path / "c.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="not an archive"):
        Archive(tmp_path / "c.tgz")


def test_a_few_files_are_picked_out_of_a_tar_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (
        (entry("p/a.txt"), b"hello"),
        (entry("p/link", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (entry("p/b.txt"), b"x"),
    )
    path = tar_of(tmp_path / "a.tgz", *files)
    assert archives.pick(path, ["p/a.txt", "p/b.txt"]) == {"p/a.txt": b"hello", "p/b.txt": b"x"}
    with pytest.raises(BadInput, match="there are p/a"):
        archives.pick(path, ["p/aa.txt"])
    with pytest.raises(BadInput, match="holds no"):
        archives.pick(path, ["p/link"])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadInput, match="not an archive"):
        archives.pick(path, ["p/b.txt"])
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 3)
    with pytest.raises(BadInput, match="more than"):
        archives.pick(tar_of(tmp_path / "large.tgz", *files), ["p/b.txt"])
