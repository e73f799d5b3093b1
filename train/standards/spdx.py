"""The release as an SPDX document (ISO/IEC 5962, version 3.0.1) of the profiles AI and Dataset, as JSON-LD."""

import re
from typing import Any

from train.records import Json

_CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_NOWHERE = "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement"
_MADE = "_:made"

Element = dict[str, Any]


def spdx(record: Json, recipe: Json, summary: Json, packages: list[dict[str, str]]) -> dict[str, Any]:
    """standards/spdx.json: the model, the texts it was trained on, the program, its packages, and their licences."""
    place = f"https://spdx.org/spdxdocs/{_plain(record['name'])}-{record['weights']['digest'][:16]}#"
    publisher, code = place + "publisher", record["ingredients"]["code"]
    model, texts, program = _model(record, recipe), _texts(record, recipe, summary), _program(record)
    libraries = [_library(row) for row in packages]
    parts = {"model": model, "documents": texts, "program": program}
    parts |= {f"package-{_plain(row['name'])}": library for row, library in zip(packages, libraries, strict=True)}
    model["suppliedBy"], texts["originatedBy"] = publisher, [publisher]
    expressions = {
        "model": record["weights"]["licence"],
        "documents": " AND ".join(f"({name})" if " " in name else name for name in summary["by"]["licence"]),
        "program": code["licence"],
    }
    parts |= {f"licence-{name}": _licence(expression) for name, expression in expressions.items()}
    relations = [
        ("model", "trainedOn", ["documents"]),
        ("model", "testedOn", ["documents"]),
        ("model", "usesTool", ["program"]),
        ("program", "dependsOn", [name for name in parts if name.startswith("package-")]),
        *((name, "hasDeclaredLicense", [f"licence-{name}"]) for name in expressions),
        *((name, "hasConcludedLicense", [f"licence-{name}"]) for name in expressions),
    ]
    parts |= {
        f"relation-{number}": {
            "type": "Relationship",
            "from": place + one,
            "relationshipType": kind,
            "to": [place + other for other in others],
        }
        for number, (one, kind, others) in enumerate(relations)
        if others
    }
    parts = {"publisher": {"type": "Organization", "name": record["publisher"]}, **parts}
    elements = [{"spdxId": place + name, "creationInfo": _MADE, **part} for name, part in parts.items()]
    document = {
        "type": "SpdxDocument",
        "spdxId": place + "document",
        "creationInfo": _MADE,
        "name": f"{record['name']} {record['version']}",
        "profileConformance": ["core", "software", "simpleLicensing", "ai", "dataset"],
        "rootElement": [place + "model"],
        "element": [element["spdxId"] for element in elements],
    }
    made = {"type": "CreationInfo", "@id": _MADE, "specVersion": "3.0.1", "created": _time(record)}
    return {"@context": _CONTEXT, "@graph": [made | {"createdBy": [publisher]}, document, *elements]}


def _model(record: Json, recipe: Json) -> Element:
    outcome, weights = record["cost"]["outcome"], record["weights"]
    scores = record["results"]["bits_per_byte"]
    energy = {
        "type": "ai_EnergyConsumptionDescription",
        "ai_energyQuantity": str(outcome["kwh"]),
        "ai_energyUnit": "kilowattHour",
    }
    return {
        "type": "ai_AIPackage",
        "name": record["name"],
        "software_packageVersion": record["version"],
        "software_primaryPurpose": "model",
        "software_downloadLocation": _NOWHERE,
        "releaseTime": _time(record),
        "verifiedUsing": [_hash(weights["digest"])],
        "ai_typeOfModel": [f"transformer language model, {weights['family']}"],
        "ai_domain": ["natural language"],
        "ai_informationAboutTraining": (
            f"{outcome['tokens']} tokens, {outcome['flops']:.3g} operations, {outcome['seconds']:.0f} s; "
            "recipe/config.yaml, training/"
        ),
        "ai_hyperparameter": [_entry(key, value) for key, value in sorted(recipe["optim"].items()) if key != "why"],
        "ai_metric": [_entry(f"{key}, bits per byte", v) for key, v in scores.items() if isinstance(v, float)],
        "ai_limitation": recipe["release"]["not_for"],
        "ai_informationAboutApplication": recipe["release"]["purpose"],
        "ai_useSensitivePersonalInformation": "noAssertion",
        "ai_energyConsumption": {"type": "ai_EnergyConsumption", "ai_trainingEnergyConsumption": [energy]},
    }


def _texts(record: Json, recipe: Json, summary: Json) -> Element:
    data = recipe["data"]
    return {
        "type": "dataset_DatasetPackage",
        "name": data["name"],
        "software_packageVersion": record["version"],
        "software_primaryPurpose": "data",
        "software_downloadLocation": _NOWHERE,
        "builtTime": _time(record),
        "releaseTime": _time(record),
        "verifiedUsing": [_hash(record["ingredients"]["documents"]["digest"])],
        "dataset_datasetType": ["text"],
        "dataset_datasetSize": summary["kept_bytes"],
        "dataset_datasetAvailability": "directDownload",
        "dataset_dataCollectionProcess": data["description"] or "data/README.md",
        "dataset_dataPreprocessing": [f"{rule}: {count} left out" for rule, count in summary["excluded"].items()],
        "dataset_knownBias": [data["warning"]] if data["warning"] else [],
        "dataset_intendedUse": "Training and measuring this model.",
        "dataset_hasSensitivePersonalInformation": "noAssertion",
    }


def _program(record: Json) -> Element:
    code = record["ingredients"]["code"]
    return {
        "type": "software_Package",
        "name": record["made_by"],
        "software_primaryPurpose": "source",
        "software_sourceInfo": f"recipe/source.tar, commit {code['commit']}",
        "verifiedUsing": [_hash(code["digest"])],
    }


def _library(row: Json) -> Element:
    return {
        "type": "software_Package",
        "name": row["name"],
        "software_packageVersion": row["version"],
        "software_primaryPurpose": "library",
        "comment": f"licence, as it says itself: {row['licence']}",
    }


def _licence(expression: str) -> Element:
    return {"type": "simplelicensing_LicenseExpression", "simplelicensing_licenseExpression": expression}


def _entry(key: str, value: Any) -> Element:
    return {"type": "DictionaryEntry", "key": key, "value": str(value)}


def _hash(digest: str) -> Element:
    return {"type": "Hash", "algorithm": "sha256", "hashValue": digest}


def _time(record: Json) -> str:
    return f"{record['date']}T00:00:00Z"


def _plain(name: Any) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", str(name))
