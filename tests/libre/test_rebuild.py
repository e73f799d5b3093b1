"""A release is remade from its own folder to the same bits; where it is not, the step is named; the audit reads it."""

import json
import shutil
import signal
from importlib import import_module
from pathlib import Path

import pytest

from train.__main__ import main
from train.libre import audit, rebuild
from train.numerics import digest_tensors, save_tensors
from train.records import BadInput, read_json, write_json
from train.run import Stopped, read_tensors

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


def test_a_trusted_program_is_run_from_the_release(copy: Path) -> None:
    assert main(["rebuild", str(copy), "--trust-code"]) == 0
    assert len(list((copy / "attest" / "rebuilds").glob("R1-*.json"))) == 1
