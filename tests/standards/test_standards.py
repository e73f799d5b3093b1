"""Exports of release.json: the build record is an in-toto statement about it, the summary leaves nothing open."""

import re
from pathlib import Path

from train.records import read_json
from train.standards import build_record


def test_the_build_record_is_a_statement_about_the_release(release: Path) -> None:
    record, statement = read_json(release / "release.json"), read_json(release / "attest" / "traininfo.json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][0]["digest"]["sha256"] == record["digest"]
    used = {row["name"] for row in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert {"documents", "excluded", "tokenizer", "config", "code", "torch"} <= used
    packages = read_json(release / "recipe" / "dependencies.json")["packages"]
    assert statement == build_record(record, packages)
    record["cost"]["attempts"], record["ingredients"]["code"]["clean"] = 3, False
    taints = build_record(record, packages)["predicate"]["runDetails"]["metadata"]["taints"]
    assert any("3 starts" in taint for taint in taints)
    assert any("not committed" in taint for taint in taints)


def test_the_summary_for_the_european_union_has_every_section(release: Path) -> None:
    text = (release / "standards" / "eu-summary.md").read_text("utf-8")
    sections = re.findall(r"\*\*(\d\.\d) ", text)
    assert sections == ["1.1", "1.2", "1.3", *(f"2.{n}" for n in range(1, 7)), *(f"3.{n}" for n in range(1, 4))]
    assert "made for the tests, 2026-11-23" in text
    assert "{" not in text
    for section in re.split(r"\*\*\d\.\d ", text)[1:]:
        assert len(section.split("**", 1)[1].strip()) > 10
