"""A release is remade from its own folder to the same bits; where it is not, the step is named; the audit reads it."""

import json
import shutil
import signal
import subprocess
import sys
import tarfile
from importlib import import_module
from pathlib import Path

import pytest

from tests.libre.test_signatures import make_key
from train.__main__ import main
from train.libre import audit, rebuild
from train.libre.audit import Status
from train.numerics import digest_tensors, save_tensors
from train.records import BadInput, digest_json, read_json, write_json
from train.run import Stopped, read_tensors
from train.standards import open_envelope, read_key, rebuild_record, sign

MODULE = import_module("train.libre.rebuild")  # the package has a function of that name


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def test_the_whole_is_remade_and_the_release_is_libre_in_practice(copy: Path) -> None:
    found = rebuild(copy, "R3", builder="an association", note=lambda _: None)
    assert found.identical
    assert found.parted_at == -1
    statement = read_json(Path(found.statement))
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "an association"
    asked = audit(copy)
    assert asked.failed == []
    assert asked.level == "R3"
    assert asked.verdicts()["libre in practice"] == "yes"


def test_remade_on_the_same_kind_of_machine_it_is_no_r4(copy: Path, tmp_path: Path) -> None:
    found = rebuild(copy, "R3", key=str(make_key(tmp_path / "key.pem")), note=lambda _: None)
    witness = open_envelope(read_json(Path(found.statement)))[1]
    assert audit(copy, witnesses=[witness]).level == "R3"


@pytest.mark.parametrize("signed", [False, True])
def test_what_somebody_says_makes_nothing_libre(
    copy: Path, tmp_path: Path, signed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anybody can write a statement, and make a key."""
    record, facts = read_json(copy / "release.json"), {"level": "R3", "identical": True, "parted_at": -1}
    statement = rebuild_record(record, facts | {"segments": [[0, 24]], "score": 0.0}, "Them", {"processor": "one"})
    key = read_key(str(make_key(tmp_path / "key.pem")))
    path = copy / "attest" / "rebuilds" / f"R3-{digest_json(statement)[:12]}.json"
    write_json(path, sign(statement, key) if signed else statement)
    asked = audit(copy)
    status = {finding.id: finding for finding in asked.findings}
    assert status["RUN-02"].status is status["RUN-03"].status is Status.declared
    assert "by no witness of yours: remade whole and identical, by Them on one" in status["RUN-03"].found
    assert (asked.failed, asked.level) == ([], "R1")
    assert asked.verdicts()["libre in practice"] == "not yet: RUN-02, RUN-03"
    assert main(["audit", str(copy)]) == 0
    assert "or --witness KEY" in capsys.readouterr().out
    witness = open_envelope(read_json(path))[1] if signed else "ed25519:" + "0" * 64
    believed = audit(copy, witnesses=[witness])
    assert believed.level == ("R4" if signed else "R1")  # on another processor
    assert main(["audit", str(copy), "--witness", witness]) == 0
    assert f"libre in practice: {'yes' if signed else 'not yet'}" in capsys.readouterr().out
    write_json(path.with_name("R3-000000000000.json"), statement)
    assert {finding.id for finding in audit(copy).failed} == {"RUN-02", "RUN-03"}
    path.with_name("R3-000000000000.json").unlink()
    write_json(path.with_name(f"R1-{digest_json(statement)[:12]}.json"), statement)
    assert rebuild(copy, "R2", note=lambda _: None).identical
    assert audit(copy).level == "R2"  # what was done here counts before what is said
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert audit(copy).level == "R1"


def test_what_cannot_be_remembered_is_said(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    said: list[str] = []
    assert Path(rebuild(copy, "R1", note=said.append).statement).is_file()
    assert "not remembered here" in said[-1]


def test_three_segments_are_replayed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rebuild", str(copy), "--level", "R2", "--segments", "3"]) == 0
    assert capsys.readouterr().out.count(": identical") == 4  # the level and its three parts
    assert audit(copy).level == "R2"


def test_the_step_at_which_weights_part_is_named(copy: Path) -> None:
    """Weights that were changed and sealed again: a published checkpoint that the one before does not lead to."""
    lines = [json.loads(line) for line in (copy / "training" / "chain.jsonl").read_text().splitlines()]
    step = lines[2]["step"]
    folder = copy / "training" / "checkpoints" / f"step-{step:06d}"
    tensors = read_tensors(folder / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] += 1.0
    save_tensors(tensors, folder / "model.safetensors")
    forge(copy, lines, {step: digest_tensors(tensors)})
    found = rebuild(copy, "R3", note=lambda _: None)
    assert not found.identical
    assert found.parted_at == step
    assert main(["audit", str(copy)]) == 1
    assert {"RUN-02", "RUN-03"} <= {finding.id for finding in audit(copy).failed}


def forge(folder: Path, lines: list[dict[str, object]], weights: dict[int, str]) -> None:
    import hashlib

    head = "0" * 64
    for line in lines:
        line["weights"] = weights.get(line["step"], line["weights"])  # type: ignore[call-overload]
        head = hashlib.sha256(f"{head}{line['step']}{line['weights']}".encode()).hexdigest()
        line["chain"] = head
    (folder / "training" / "chain.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = read_json(folder / "release.json")
    record["weights"]["chain"] = head
    write_json(folder / "release.json", record)


@pytest.mark.parametrize(
    ("key", "value"), [("threads", 0), ("threads", 10**9), ("device", "tpu"), ("compile", "yes"), ("precision", "int1")]
)
def test_an_arithmetic_that_is_none_is_one_line(copy: Path, key: str, value: object, capsys) -> None:
    record = read_json(copy / "release.json")
    record["numerics"][key] = value
    write_json(copy / "release.json", record)
    assert main(["rebuild", str(copy), "--level", "R2"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_what_was_compiled_needs_a_compiler(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "has_compiler", lambda: False)
    record = read_json(copy / "release.json")
    record["numerics"]["compile"] = True
    write_json(copy / "release.json", record)
    with pytest.raises(BadInput, match="compiler"):
        rebuild(copy, "R2", note=lambda _: None)


def test_a_stop_is_no_answer(copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(job: object) -> None:
        raise Stopped(signal.SIGTERM, 3)

    monkeypatch.setattr(MODULE, "train", stopped)
    assert main(["rebuild", str(copy), "--level", "R2"]) == 128 + signal.SIGTERM
    assert "begins anew" in capsys.readouterr().err


def test_an_answer_that_could_not_be_written_is_given(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(MODULE, "write_json", full)
    found = rebuild(copy, "R1", note=lambda _: None)
    assert found.identical
    assert "no space left" in found.render()


def test_inputs_that_are_not_the_ones_end_it(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = read_json(copy / "release.json")
    record["ingredients"]["tokenizer"]["digest"] = "0" * 64
    write_json(copy / "release.json", record)
    assert main(["rebuild", str(copy)]) == 1
    assert "TOK-01" in capsys.readouterr().out
    assert not (copy / "attest" / "rebuilds").exists()


def test_a_stranger_s_program_is_not_run_unasked(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = read_json(copy / "release.json")
    record["ingredients"]["code"]["digest"] = "0" * 64
    write_json(copy / "release.json", record)
    with pytest.raises(BadInput, match="--trust-code"):
        rebuild(copy, "R1", note=lambda _: None)
    assert main(["rebuild", str(copy)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_installed_program_is_run_where_it_is_the_same(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE.subprocess, "run", lambda *_, **__: pytest.fail("a second program"))
    assert main(["rebuild", str(copy), "--trust-code"]) == 0
    assert len(list((copy / "attest" / "rebuilds").glob("R1-*.json"))) == 1


def test_a_trusted_program_is_run_from_the_release(copy: Path, tmp_path: Path) -> None:
    """One that says another word, and so has another digest."""
    source, theirs = copy / "recipe" / "source.tar", tmp_path / "theirs"
    with tarfile.open(source) as archive:
        archive.extractall(theirs, filter="data")
    (theirs / "train" / "libre" / "theirs.py").write_text('"""Another file."""\n')
    with tarfile.open(source, "w") as archive:
        for path in sorted(path for path in theirs.rglob("*") if path.is_file()):
            archive.add(path, str(path.relative_to(theirs)))
    asked = [sys.executable, "-c", "from train.release import code_digest; print(code_digest())"]
    record = read_json(copy / "release.json")
    record["ingredients"]["code"]["digest"] = subprocess.run(
        asked, cwd=theirs, capture_output=True, text=True, check=True
    ).stdout.strip()
    write_json(copy / "release.json", record)
    with pytest.raises(BadInput, match="--trust-code"):
        rebuild(copy, "R1", note=lambda _: None)
    assert main(["rebuild", str(copy), "--trust-code"]) == 0
    assert len(list((copy / "attest" / "rebuilds").glob("R1-*.json"))) == 1
