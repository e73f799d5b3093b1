"""Releases and statements signed with ed25519: a signature holds or is an error, and a key is worth what names it."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import small_run, write_school
from train.__main__ import main
from train.libre import audit, rebuild
from train.libre.audit import Status
from train.records import BadInput, canonical_json, read_json, write_json
from train.standards import open_envelope, read_key, sign


def make_key(path: Path, kind: str = "ed25519") -> Path:
    subprocess.run(["openssl", "genpkey", "-algorithm", kind, "-out", str(path)], check=True, capture_output=True)
    return path


def finding(folder: Path, id: str, **more: str) -> tuple[Status, str]:
    found = audit(folder, **more)  # type: ignore[arg-type]
    one = next(f for f in (*found.findings, found.anchor) if f.id == id)
    return one.status, one.found


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    key = make_key(folder / "key.pem")
    words = small_run(write_school(folder / "school"), folder / "runs", "optim.steps=6", f"release.sign={key}")
    assert main(words) == 0
    return folder


def test_a_signed_release_is_held_by_its_key(signed: Path, tmp_path: Path) -> None:
    release = signed / "runs" / "small" / "release"
    name = json.loads((release / "attest" / "traininfo.dsse.json").read_text())["signatures"][0]["keyid"]
    found = audit(release, key=name)
    assert found.failed == []
    assert found.anchor.status is Status.verified
    status, said = finding(release, "RUN-01")
    assert status is Status.verified
    assert f"signed by {name}, and the signature holds" in said
    status, said = finding(release, "ANCHOR")
    assert status is Status.not_yet
    assert "anybody can make a key" in said
    assert finding(release, "ANCHOR", key="ed25519:" + "0" * 64)[0] is Status.failed
    for path in release.rglob("*"):
        assert not path.is_file() or str(signed).encode() not in path.read_bytes(), path


def test_a_forger_needs_the_key(signed: Path, tmp_path: Path) -> None:
    """Who signs another record with a key of their own is found by the key that was told."""
    release = Path(shutil.copytree(signed / "runs" / "small" / "release", tmp_path / "copy"))
    name = json.loads((release / "attest" / "traininfo.dsse.json").read_text())["signatures"][0]["keyid"]
    statement = read_json(release / "attest" / "traininfo.json")
    write_json(release / "attest" / "traininfo.dsse.json", sign(statement, read_key(str(make_key(tmp_path / "k")))))
    assert finding(release, "ANCHOR", key=name)[0] is Status.failed


@pytest.mark.parametrize("change", ["payload", "sig", "keyid", "payloadType", "none", "two", "number", "null", "deep"])
def test_a_signature_holds_or_is_an_error(tmp_path: Path, change: str) -> None:
    key = read_key(str(make_key(tmp_path / "key.pem")))
    envelope = sign({"subject": [1]}, key)
    assert open_envelope(envelope)[0] == {"subject": [1]}
    first = envelope["signatures"][0]
    if change == "payload":
        envelope["payload"] = base64.b64encode(canonical_json({"subject": [2]})).decode()
    elif change == "sig":
        first["sig"] = base64.b64encode(bytes(64)).decode()
    elif change == "keyid":
        first["keyid"] = "ed25519:" + "1" * 64
    elif change == "payloadType":
        envelope["payloadType"] = "text/plain"
    elif change == "number":
        envelope["payload"] = 5
    elif change == "null":
        first["sig"] = None
    elif change == "deep":
        envelope["payload"] = base64.b64encode(b"[" * 100_000).decode()
    elif change == "none":
        envelope["signatures"] = []
    else:
        envelope["signatures"] = [first, first]
    with pytest.raises(BadInput):
        open_envelope(envelope)


def test_a_rebuild_is_signed_and_read(signed: Path, tmp_path: Path) -> None:
    release = Path(shutil.copytree(signed / "runs" / "small" / "release", tmp_path / "copy"))
    key = make_key(tmp_path / "builder.pem")
    found = rebuild(release, "R3", builder="an association", key=str(key), note=lambda _: None)
    assert found.identical
    status, said = finding(release, "RUN-03")
    assert status is Status.verified
    assert "signed by ed25519:" in said
    path = Path(found.statement)
    envelope = read_json(path)
    envelope["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    path.write_text(json.dumps(envelope))
    assert finding(release, "RUN-03") == (Status.failed, "the signature does not hold")


def test_an_audit_is_published_and_signed(signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release = Path(shutil.copytree(signed / "runs" / "small" / "release", tmp_path / "copy"))
    key = make_key(tmp_path / "auditor.pem")
    assert main(["audit", str(release), "--attest", "an association", "--sign", str(key)]) == 0
    assert "Said in" in capsys.readouterr().out
    (path,) = (release / "attest" / "audits").iterdir()
    statement, name = open_envelope(read_json(path))
    assert name.startswith("ed25519:")
    assert statement["subject"][0]["digest"]["sha256"] == read_json(release / "release.json")["digest"]
    assert statement["predicate"]["verifier"] == {"id": "an association"}
    assert {"level: R1", "DATA-01: verified", "RUN-03: not yet"} <= set(statement["predicate"]["properties"])
    assert audit(release).failed == []  # what is said about a release does not change it


def test_keys_that_are_none(school: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_key(tmp_path / "x25519.pem", "X25519")
    (tmp_path / "text.pem").write_text("nothing")
    for name, says in (
        ("x25519.pem", "not an ed25519 key"),
        ("text.pem", "not a private key"),
        ("no", "not a private"),
    ):
        assert main(small_run(school, tmp_path, f"release.sign={tmp_path / name}")) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "small" / "documents").exists()
