"""An audit passes what is whole and free, finds every change, fails what is absent, trusts nothing that it reads."""

import hashlib
import json
import os
import random
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.conftest import small_run
from tests.hugging_face.variants import VARIANTS, VOCABULARY, make
from train.__main__ import main
from train.batches import order, order_digest
from train.config import compose, published_digest, read_config
from train.hugging_face import to_hugging_face
from train.libre import audit, open_trace, render_audit
from train.libre.audit import Status, Subject, ask
from train.libre.audit.answer import CHECKS
from train.libre.audit.folder import is_pickled
from train.libre.audit.shape import shape_of
from train.recipe import run_recipe
from train.records import BadInput, digest_file, read_json
from train.release import attribution, list_files, root_digest
from train.tune import TuneConfig

MUTATIONS = 100


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def answer(folder: Path, id: str, work: Path) -> tuple[Status, str]:
    finding = ask(id, Subject(folder, work))
    return finding.status, finding.found


def reseal(folder: Path) -> None:
    """What a forger does: every sum and the root digest are made again."""
    record = read_json(folder / "release.json")
    record["digest"] = root_digest(folder, record)
    (folder / "release.json").write_text(json.dumps(record))
    lines = [f"{digest_file(folder / name)}  {name}\n" for name in list_files(folder) if name != "attest/SHA256SUMS"]
    (folder / "attest" / "SHA256SUMS").write_text("".join(lines))


def test_a_release_of_ours_passes(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit(release)
    assert [finding.id for finding in found.failed] == []
    assert found.level == "R1"
    status = {finding.id: finding.status for finding in found.findings}
    assert status["RUN-02"] is status["RUN-03"] is Status.not_yet
    assert {id for id, s in status.items() if s in {Status.declared, Status.person}} == {"DATA-07", "CONF-02", "WGT-03"}
    said = found.verdicts()
    assert said["libre in practice"] == "not yet: RUN-02, RUN-03"
    assert said["MOF (Model Openness Framework)"].startswith("class I,")
    assert "nothing: who changes a file and rewrites every sum" in render_audit(found)
    assert main(["audit", str(release), "--expect", found.digest]) == 0
    assert main(["audit", str(release), "--expect", "0" * 64]) == 1
    assert "you were told" in capsys.readouterr().out


def test_a_tokenizer_of_a_part_of_the_texts_is_made_again(school: Path, release: Path, tmp_path: Path) -> None:
    run_recipe(compose(small_run(school, tmp_path, "tokenizer.train_bytes=20000")))
    folder = tmp_path / "small" / "release"
    assert answer(folder, "TOK-01", tmp_path / "work")[0] is Status.verified
    assert (folder / "tokenizer.json").read_bytes() != (release / "tokenizer.json").read_bytes()


def mutate(folder: Path, draw: random.Random) -> str:
    """One change to a release; returns the name that must be spoken of."""
    name = draw.choice(list_files(folder))
    path = folder / name
    data = path.read_bytes()
    kind = draw.choice(["remove", "rename", "add", *(["change", "cut"] if data else [])])
    if kind == "add":
        name = f"{Path(name).parent.as_posix()}/added-{draw.randrange(1000)}.txt".removeprefix("./")
        (folder / name).write_bytes(b"x")
    elif kind == "remove":
        path.unlink()
    elif kind == "rename":
        path.rename(path.with_name(f"renamed-{path.name}"))
    elif kind == "cut":
        path.write_bytes(data[: draw.randrange(len(data))])
    else:
        at = draw.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :])
    return name


def test_a_hundred_random_changes_are_each_found(release: Path, tmp_path: Path) -> None:
    draw = random.Random(7)
    for number in range(MUTATIONS):
        folder = Path(shutil.copytree(release, tmp_path / str(number), copy_function=os.link))
        for path in [folder / name for name in list_files(folder)]:  # linked, so a change must make a file of its own
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)
        name = mutate(folder, draw)
        status, found = answer(folder, "SEAL-01", tmp_path)
        assert status is Status.failed, name
        assert name in found or name == "attest/SHA256SUMS", f"{name}: {found}"
        shutil.rmtree(folder)


def test_who_rewrites_every_sum_is_found_by_a_digest_from_elsewhere(copy: Path, tmp_path: Path) -> None:
    before = read_json(copy / "release.json")["digest"]
    path = copy / "README.md"
    path.write_text(path.read_text("utf-8").replace("What it is for", "What it is for."), "utf-8")
    reseal(copy)
    assert answer(copy, "SEAL-01", tmp_path)[0] is Status.verified
    found = audit(copy, expect=before)
    assert [finding.id for finding in found.failed if finding.id in {"ANCHOR", "SEAL-01"}] == ["ANCHOR"]


@pytest.mark.parametrize(
    ("name", "change", "check", "says"),
    [
        ("data/manifest.jsonl", ("CC0-1.0", "CC-BY-NC-4.0"), "DATA-05", "not among the licences"),
        ("data/manifest.jsonl", ("Author 1", "Somebody"), "DATA-01", "manifest lists"),
        ("data/excluded.jsonl", None, "DATA-04", "others than those"),
        ("data/summary.json", ('"kept": ', '"kept": 1'), "DATA-09", "kept"),
        ("ATTRIBUTION.md", ("Author 1", "Nobody"), "DATA-06", "not what the manifest gives"),
        ("tokenizer.json", ("Ġ", "G"), "TOK-01", ""),
        ("recipe/config.yaml", ("seed: 0", "seed: 1"), "CONF-01", "not the config"),
        ("recipe/constraints.txt", ("torch==", "# torch "), "CODE-03", "torch"),
        ("recipe/config.yaml", ("n_layers: 2", "n_layers: 2000"), "COST-01", "more layers than there are tensors"),
        ("recipe/config.yaml", ("d_model: 32", "d_model: 8192"), "WGT-02", "are published"),
        ("recipe/config.yaml", ("publish: 4", "publish: 1000000000000"), "WGT-02", "25 checkpoints"),
        (
            "training/metrics.jsonl",
            ('"learning_rate_factor": 0', '"learning_rate_factor": NaN, "x": 0'),
            "CONF-01",
            "of step",
        ),
        ("training/metrics.jsonl", ('"learning_rate_factor"', '"x"'), "CONF-01", "of the last step"),
        ("training/chain.jsonl", ('"step": 6', '"step": 7'), "WGT-02", "chain breaks"),
        ("evaluation/results.json", ('"total": ', '"total": 1'), "EVAL-01", ""),
        ("README.md", ("---\n", "---\nextra_gated_prompt: sign here\n"), "GATE-01", "extra_gated_prompt"),
        ("README.md", ("---\n", "---\nbase_model: other/model\n"), "DEP-01", "base model"),
        ("README.md", ("---\n", '---\n"extra_gated_prompt": sign here\n'), "GATE-01", "extra_gated_prompt"),
        ("README.md", ("---\n", "---\n? extra_gated_prompt\n: sign here\n"), "GATE-01", "extra_gated_prompt"),
        ("README.md", ("---\n", "---\n- extra_gated_prompt\n"), "GATE-01", "no YAML"),
        ("README.md", ("What it is for", "TODO"), "CARD-01", "TODO"),
        ("standards/eu-summary.md", ("**2.3 Crawled.** Not", "**2.3 Crawled.**\n\nNot"), "CARD-01", "under 2.3"),
        ("data/README.md", ("CC0-1.0", "free"), "CARD-01", "'CC0-1.0' is not in it"),
        ("release.json", ('"hours": ', '"hours": 9'), "COST-02", "were expected"),
        ("release.json", ('"machine": "', '"machine": "my '), "COST-02", "no machine is named"),
        ("standards/eu-summary.md", None, "CARD-01", "there is no"),
    ],
)
def test_each_check_can_fail(
    copy: Path, tmp_path: Path, name: str, change: tuple[str, str] | None, check: str, says: str
) -> None:
    path = copy / name
    if change is not None:
        text = path.read_text("utf-8")
        assert change[0] in text
        path.write_text(text.replace(*change, 1 if name == "README.md" else -1), "utf-8")
    elif name.endswith(".jsonl"):
        row = {"id": "a/b", "sha256": "0" * 64, "url": "", "authors": [], "stage": "rules", "rule": "length"}
        path.write_text(json.dumps(row | {"rule_version": 1, "value": "1", "reason": "short", "n_bytes": 1}) + "\n")
    else:
        path.unlink()
    status, found = answer(copy, check, tmp_path)
    assert status is Status.failed
    assert says in found


def test_who_asks_to_be_named_is_named(copy: Path, tmp_path: Path) -> None:
    path = copy / "data" / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for licence, status in (
        ("MIT", Status.verified),
        ("CC-BY-4.0 OR CC0-1.0", Status.verified),
        ("CC-BY-4.0", Status.failed),
    ):
        rows[3] |= {"authors": [], "licence": licence}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        (copy / "ATTRIBUTION.md").write_text(attribution(path), "utf-8")
        assert (found := answer(copy, "DATA-06", tmp_path))[0] is status
    assert "CC-BY-4.0 asks for the author's name, and 1 document under such" in found[1]


def test_a_rule_without_a_version_is_found(copy: Path, tmp_path: Path) -> None:
    row = {"id": "a/b", "sha256": "0" * 64, "url": "", "authors": [], "stage": "rules", "rule": "length"}
    row |= {"rule_version": 0, "value": "1", "reason": "short", "n_bytes": 1}
    (copy / "data" / "excluded.jsonl").write_text(json.dumps(row) + "\n")
    assert "without rule, its version" in answer(copy, "DATA-04", tmp_path)[1]


def test_a_text_in_the_wrong_split_is_found(school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("train.documents.make.is_validation", lambda sha256: int(sha256[:8], 16) % 14 in {0, 1})
        run_recipe(compose(small_run(school, tmp_path)))
    found = audit(tmp_path / "small" / "release")
    assert [finding.id for finding in found.failed] == ["DATA-11"]
    assert "where its digest does not put it" in found.failed[0].found


@pytest.mark.parametrize("error", [Exception("of a package"), AssertionError(), MemoryError(), KeyError("x")])
def test_whatever_a_check_raises_it_has_failed(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def raises(_: Subject) -> None:
        raise error

    monkeypatch.setitem(CHECKS, "CARD-01", raises)
    assert answer(release, "CARD-01", tmp_path) == (
        Status.failed,
        f"what is stated cannot be read: {type(error).__name__} {error}",
    )


@pytest.mark.parametrize(("steps", "sequences"), [("1000000000000", 38), ("24", 0), ("24", -1), ("20000", 1)])
def test_an_order_without_end_is_not_worked_out(copy: Path, tmp_path: Path, steps: str, sequences: int) -> None:
    path, record = copy / "recipe" / "config.yaml", read_json(copy / "release.json")
    path.write_text(path.read_text("utf-8").replace("steps: 24", f"steps: {steps}"), "utf-8")
    record["ingredients"]["config"]["digest"] = published_digest(read_config(path), path)
    record["ingredients"]["order"]["sequences"] = sequences
    (copy / "release.json").write_text(json.dumps(record))
    status, found = answer(copy, "CONF-01", tmp_path)
    assert status is Status.failed
    assert "are looked at" in found
    if sequences == 38:
        with pytest.raises(BadInput, match="are looked at"):
            open_trace(copy, tmp_path / "cache")


@pytest.mark.parametrize(("sequences", "per_step"), [(10, 4), (3, 8), (1, 5), (70_000, 70_001)])
def test_the_order_in_one_word_is_that_of_the_steps(sequences: int, per_step: int) -> None:
    sizes = {"sequences": sequences, "sequences_per_step": per_step}
    steps = [order(3, step, **sizes).astype("<i8").tobytes() for step in range(3)]
    assert order_digest(3, 3, **sizes) == hashlib.sha256(b"".join(steps)).hexdigest()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_shape_of_every_family_is_that_of_its_weights(tmp_path: Path, variant: str) -> None:
    model = make(variant)
    to_hugging_face(model, tmp_path)
    recipe: Any = SimpleNamespace(model=model.config, tune=TuneConfig())
    shape = shape_of(recipe, tmp_path / "model.safetensors")
    assert {p.device.type for p in shape.parameters()} == {"meta"}
    recipe.model = replace(model.config, vocab_size=VOCABULARY + 1)
    with pytest.raises(BadInput, match="are published"):
        shape_of(recipe, tmp_path / "model.safetensors")


@pytest.mark.parametrize(("another", "status"), [(False, Status.failed), (True, Status.verified)])
def test_a_setting_is_left_out_by_an_older_program_alone(
    copy: Path, tmp_path: Path, another: bool, status: Status
) -> None:
    path = copy / "recipe" / "config.yaml"
    kept = [line for line in path.read_text("utf-8").splitlines() if line.strip() != "momentum: 0.95"]
    path.write_text("\n".join(kept) + "\n", "utf-8")
    record = read_json(copy / "release.json")
    record["ingredients"]["config"]["digest"] = published_digest(read_config(path), path)
    if another:
        record["ingredients"]["code"]["digest"] = "0" * 64
    (copy / "release.json").write_text(json.dumps(record))
    found = answer(copy, "CONF-01", tmp_path)
    assert found[0] is status, found[1]
    assert ("leaves settings out" in found[1]) is not another


def test_another_text_in_the_parquet_file_is_found(copy: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    path = copy / "data" / "documents-train.parquet"
    table = parquet.read_table(path)
    rows = table.to_pylist()
    rows[3]["text"] = rows[3]["text"].replace("a", "e", 1)
    parquet.write_table(table.from_pylist(rows, schema=table.schema), path)
    for check in ("DATA-02", "DATA-03", "TOK-01"):
        status, found = answer(copy, check, tmp_path / check)
        assert status is Status.failed
        assert rows[3]["id"] in found


def test_a_plain_hugging_face_folder_fails_kindly(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(release / name, folder)
    (folder / "README.md").write_text("---\nlicense: llama2\nextra_gated_prompt: agree\n---\nMonthly active users.\n")
    assert main(["audit", str(folder)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "there is no release.json" in said
    assert "llama2: not among the free licences" in said
    assert "asks for an agreement first: extra_gated_prompt" in said
    assert "Rebuild level: R0" in said
    assert "libre in practice: not yet" in said
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    assert "unpickled" in answer(folder, "WGT-01", tmp_path)[1]


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_is_known_by_what_it_is(tmp_path: Path, old: bool) -> None:
    for name in ("weights.th", "model.tar", "model"):
        torch.save({"a": torch.zeros(3)}, tmp_path / name, _use_new_zipfile_serialization=not old)
        assert is_pickled(tmp_path / name)
    (tmp_path / "PYTORCH_MODEL.BIN").write_bytes(b"x")
    assert is_pickled(tmp_path / "PYTORCH_MODEL.BIN")
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
        archive.writestr("a.txt", "a text")
    for data in ((tmp_path / "texts.zip").read_bytes(), b"PK\x03\x04", b"PK\x03\x04" + bytes(99), b"\x80\x02", b""):
        (tmp_path / "other").write_bytes(data)
        assert not is_pickled(tmp_path / "other")


def test_nothing_is_followed_out_of_a_base(release: Path, copy: Path, tmp_path: Path) -> None:
    (copy / "attest" / "withdrawals").mkdir()
    (copy / "attest" / "withdrawals" / "x.json").symlink_to("/etc/passwd")
    found = audit(release, bases=[copy])
    assert "not what its lineage names" in next(finding.found for finding in found.findings if finding.id == "DEP-01")


def test_nothing_is_followed_out_of_the_folder(copy: Path, tmp_path: Path) -> None:
    (copy / "data" / "manifest.jsonl").unlink()
    (copy / "data" / "manifest.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(copy / "waits")
    found = audit(copy)
    assert {finding.status for finding in found.findings} == {Status.failed}
    assert "links or devices" in found.findings[0].found


def test_an_escape_in_a_title_does_not_reach_the_terminal(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = read_json(copy / "release.json")
    record["name"] = record["weights"]["licence"] = "\x1b[2Jgone"
    (copy / "release.json").write_text(json.dumps(record))
    (copy / "\x1b[31mred.txt").write_text("x")
    assert main(["audit", str(copy)]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_a_crafted_file_takes_no_memory(copy: Path, tmp_path: Path) -> None:
    with (copy / "release.json").open("wb") as file:
        file.truncate(2**33)
    assert "larger than" in answer(copy, "DATA-01", tmp_path)[1]
    (copy / "recipe" / "config.yaml").write_text("a: &x [1]\nb: [*x, *x]\n")
    assert "names a part of itself" in answer(copy, "DATA-07", tmp_path)[1]
    header = (2**40).to_bytes(8, "little")
    (copy / "model.safetensors").write_bytes(header + b"{}")
    assert answer(copy, "WGT-01", tmp_path)[0] is Status.failed


def test_a_folder_that_is_not_there_could_not_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput):
        audit(tmp_path / "nowhere")
    assert main(["audit", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_text_of_gigabytes_is_not_read(copy: Path, tmp_path: Path) -> None:
    with (copy / "COPYING").open("wb") as file:
        file.truncate(2**32)  # takes no room on the disk
    assert answer(copy, "WGT-03", tmp_path) == (Status.failed, "COPYING: cannot be read as text (larger than 64 MB)")
