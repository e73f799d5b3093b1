"""A text that may no longer be used leaves every release that holds it; the audit says what that means."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import small_run
from train.__main__ import main
from train.documents import SPLITS, read_documents, withdrawn
from train.libre import audit, open_trace
from train.libre.audit import Status, Subject, ask
from train.records import read_json, read_rows, write_json


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def texts(folder: Path) -> dict[str, str]:
    return {d.id: d.text for split in SPLITS for d in read_documents(folder / "data", split)}


def test_the_text_leaves_and_its_digest_stays(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, digest = texts(copy), read_json(copy / "release.json")["digest"]
    row = next(row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "train")
    seen = next(s for s in open_trace(copy, tmp_path / "cache").documents() if s.id == row["id"])
    said = ["--why", "its author objects", "--by", "the author", "--cache", str(tmp_path / "cache")]
    assert main(["withdraw", str(copy), "--text", f"id={row['id']}", *said, "--json", str(tmp_path / "a.json")]) == 0
    assert f"learned from at {seen.steps} steps, {seen.first_step} to {seen.last_step}" in capsys.readouterr().out
    words = before[row["id"]][200:260].encode()
    for path in [*copy.rglob("*"), *(tmp_path / "cache").rglob("*")]:
        assert not path.is_file() or words not in path.read_bytes(), path
    after = texts(copy)
    assert after == before | {row["id"]: ""}
    assert row in list(read_rows(copy / "data" / "manifest.jsonl"))

    found = audit(copy, expect=digest)
    assert found.failed == []
    assert found.level == "R0"
    by_id = {finding.id: finding for finding in found.findings}
    assert {id for id, f in by_id.items() if f.status is Status.withdrawn} == {
        "DATA-02",
        "DATA-03",
        "TOK-01",
        "DATA-08",
    }
    assert "not applicable since the withdrawal of 1 text" in by_id["TOK-01"].found
    told = by_id["DATA-12"].found
    for part in (
        row["title"],
        "the author",
        "its author objects",
        f"steps {seen.first_step} to {seen.last_step}",
        "remake",
    ):
        assert part in told
    assert found.verdicts()["libre in practice"].startswith("not yet: ")
    assert "DATA-02" in found.verdicts()["FSF and Debian (the data must be free too)"]
    assert main(["rebuild", str(copy)]) == 1
    assert main(["trace", str(copy), "anything at all", "--cache", str(tmp_path / "cache")]) == 2
    assert json.loads((tmp_path / "a.json").read_text())[0]["documents"][0]["sha256"] == row["sha256"]


def test_what_was_made_with_it_is_found(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cache = tmp_path / "remade", ["--cache", str(tmp_path / "cache")]
    assert main(["remake", str(copy), "--without", "author=Author 1", "optim.steps=12", "--out", str(out)]) == 0
    made = out / "release"
    assert audit(made, bases=[copy]).failed == []
    assert main(["withdraw", str(copy), "--text", "author=author 2", "--why", "asked to", *cache]) == 0
    found = audit(made, bases=[copy])
    assert [finding.id for finding in found.failed] == ["DATA-12"]
    assert "withdrawn from its base" in found.failed[0].found
    assert main(["audit", str(made), "--base", str(copy)]) == 1
    # Both at once, and again: the first has nothing left to withdraw.
    assert main(["withdraw", str(copy), str(made), "--text", "author=Author 2", "--why", "asked to", *cache]) == 0
    assert "holds none of it" in capsys.readouterr().out
    assert audit(made, bases=[copy]).failed == []
    # A remake is without it, and lists it as left out.
    again = tmp_path / "again"
    assert main(["remake", str(copy), "--out", str(again), "--why", "a text was withdrawn"]) == 0
    assert audit(again / "release").failed == []
    left_out = list(read_rows(again / "release" / "data" / "excluded.jsonl"))
    assert {row["reason"] for row in left_out if row["rule"] == "withdrawn"} == {"asked to"}
    assert not any("Author 2" in row["authors"] for row in read_rows(again / "release" / "data" / "manifest.jsonl"))


def test_a_held_out_text_takes_the_score_with_it(copy: Path, tmp_path: Path) -> None:
    row = next(row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "validation")
    assert (
        main(
            ["withdraw", str(copy), "--text", f"sha256={row['sha256']}", "--why", "asked to", "--cache", str(tmp_path)]
        )
        == 0
    )
    found = {finding.id: finding for finding in audit(copy).findings}
    assert found["EVAL-01"].status is Status.withdrawn
    assert "held out" in found["DATA-12"].found


def test_a_withdrawal_hides_no_other_change(copy: Path, tmp_path: Path) -> None:
    row = next(row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "train")
    main(["withdraw", str(copy), "--text", f"id={row['id']}", "--why", "asked to", "--cache", str(tmp_path)])
    (path,) = (copy / "attest" / "withdrawals").iterdir()
    path.write_text(path.read_text().replace(row["sha256"], "0" * 64))
    assert {"DATA-01", "DATA-12", "TOK-01"} <= {finding.id for finding in audit(copy).failed}
    table = copy / "data" / "documents-train.parquet"
    table.write_bytes(table.read_bytes() + b"x")
    assert "SEAL-01" in {finding.id for finding in audit(copy).failed}


def test_a_forged_withdrawal_hides_nothing(copy: Path) -> None:
    digest = read_json(copy / "release.json")["digest"]
    said = {"why": "", "by": "", "date": "", "files": [], "documents": [{"sha256": "1" * 64, "split": "validation"}]}
    statement = {"subject": [{"name": "release.json", "digest": {"sha256": digest}}], "predicate": said}
    write_json(copy / "attest" / "withdrawals" / "x.json", statement)
    assert {"DATA-02", "DATA-12", "TOK-01", "EVAL-01"} <= {finding.id for finding in audit(copy).failed}


def test_a_statement_about_another_release_withdraws_nothing(copy: Path, tmp_path: Path) -> None:
    row = next(row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "train")
    main(["withdraw", str(copy), "--text", f"id={row['id']}", "--why", "asked to", "--cache", str(tmp_path)])
    assert withdrawn(copy) == {row["sha256"]: "asked to"}
    (path,) = (copy / "attest" / "withdrawals").iterdir()
    path.write_text(path.read_text().replace(read_json(copy / "release.json")["digest"], "0" * 64))
    assert withdrawn(copy) == {}
    found = ask("DATA-02", Subject(copy, tmp_path))
    assert found.status is Status.failed
    assert row["id"] in found.found


def test_a_digest_that_is_a_path_deletes_nothing(copy: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    record = read_json(copy / "release.json")
    record["ingredients"]["tokens"]["train"]["digest"] = str(victim)
    write_json(copy / "release.json", record)
    row = next(row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "validation")
    assert main(["withdraw", str(copy), "--text", f"id={row['id']}", "--why", "x", "--cache", str(tmp_path)]) == 2
    assert victim.is_dir()


def test_a_second_withdrawal_still_knows_the_steps(copy: Path, tmp_path: Path) -> None:
    rows = [row for row in read_rows(copy / "data" / "manifest.jsonl") if row["split"] == "train"][:2]
    for row in rows:
        said = ["--text", f"id={row['id']}", "--why", "x", "--cache", str(tmp_path)]
        assert main(["withdraw", str(copy), *said, "--json", str(tmp_path / "a.json")]) == 0
        assert json.loads((tmp_path / "a.json").read_text())[0]["documents"][0]["steps"]["count"] > 0
    assert audit(copy).failed == []


def test_a_release_with_withdrawals_is_not_made_again_over_them(school: Path, tmp_path: Path) -> None:
    words = small_run(school, tmp_path, "optim.steps=6")
    assert main(words) == 0
    release = tmp_path / "small" / "release"
    assert main(["withdraw", str(release), "--text", "author=Author 1", "--why", "x", "--cache", str(tmp_path)]) == 0
    assert main([*words, "release.contact=another"]) == 2
    assert any((release / "attest" / "withdrawals").iterdir())
    assert audit(release).failed == []


def test_nothing_is_written_through_a_link(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (copy / "attest" / "withdrawals").symlink_to(tmp_path / "elsewhere")
    assert main(["withdraw", str(copy), "--text", "author=Author 1", "--why", "x", "--cache", str(tmp_path)]) == 2
    assert "links or devices" in capsys.readouterr().err
    assert main(["audit", str(copy), "--attest", "me"]) == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_bad_wishes(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in copy.rglob("*"))
    for wish, says in (
        ("author=Nobody", "no document of"),
        ("licence=x", "say author=NAME"),
        ("id=", "say author=NAME"),
    ):
        assert main(["withdraw", str(copy), "--text", wish, "--why", "x", "--cache", str(tmp_path)]) == 2
        assert says in capsys.readouterr().err
    assert sorted(path.name for path in copy.rglob("*")) == before


@pytest.mark.parametrize("statement", ["[]", "{}", '{"predicate": {"seen": 5}}'])
def test_a_statement_that_is_none_is_one_line(
    copy: Path, tmp_path: Path, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    second = Path(shutil.copytree(copy, tmp_path / "second"))
    (second / "attest" / "withdrawals").mkdir()
    (second / "attest" / "withdrawals" / "x.json").write_text(statement)
    words = ["--text", "author=Author 1", "--why", "asked to", "--cache", str(tmp_path / "cache")]
    assert main(["withdraw", str(copy), str(second), *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "not a statement of a withdrawal; nothing was changed" in said
    assert not (copy / "attest" / "withdrawals").exists()  # the first of the two is as it was
