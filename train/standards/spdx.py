"""The release as an SPDX document (ISO/IEC 5962, version 3.0.1) of the profiles AI and Dataset, as JSON-LD."""

import re
from typing import Any

from train.records import Json

_CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_MADE = "_:made"


def spdx(record: Json, recipe: Json, summary: Json, packages: list[dict[str, str]]) -> dict[str, Any]:
    """standards/spdx.json: the model, the texts it was trained on, the program, its packages, and their licences."""
    place = f"https://spdx.org/spdxdocs/{_plain(record['name'])}-{record['weights']['digest'][:16]}#"
    publisher, weights, code = place + "publisher", record["weights"], record["ingredients"]["code"]
    model, texts, program = place + "model", place + "documents", place + "program"
    libraries = [place + f"package-{_plain(row['name'])}" for row in packages]
    licences = {
        model: weights["licence"],
        texts: " AND ".join(f"({name})" if " " in name else name for name in summary["by"]["licence"]),
        program: code["licence"],
    }
    outcome = record["cost"]["outcome"]
    elements: list[dict[str, Any]] = [
        {"type": "Organization", "spdxId": publisher, "creationInfo": _MADE, "name": record["publisher"]},
        {
            "type": "ai_AIPackage",
            "spdxId": model,
            "creationInfo": _MADE,
            "name": record["name"],
            "software_packageVersion": record["version"],
            "software_primaryPurpose": "model",
            "software_downloadLocation": "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement",
            "releaseTime": f"{record['date']}T00:00:00Z",
            "suppliedBy": publisher,
            "verifiedUsing": [_hash(weights["digest"])],
            "ai_typeOfModel": [f"transformer language model, {weights['family']}"],
            "ai_domain": ["natural language"],
            "ai_informationAboutTraining": (
                f"{outcome['tokens']} tokens, {outcome['flops']:.3g} operations, {outcome['seconds']:.0f} s; "
                "recipe/config.yaml, training/"
            ),
            "ai_hyperparameter": [
                {"type": "DictionaryEntry", "key": key, "value": str(value)}
                for key, value in sorted(recipe["optim"].items())
                if key != "why"
            ],
            "ai_metric": [
                {"type": "DictionaryEntry", "key": f"{name}, bits per byte", "value": str(value)}
                for name, value in record["results"]["bits_per_byte"].items()
                if isinstance(value, float)
            ],
            "ai_limitation": recipe["release"]["not_for"],
            "ai_informationAboutApplication": recipe["release"]["purpose"],
            "ai_useSensitivePersonalInformation": "noAssertion",
            "ai_energyConsumption": {
                "type": "ai_EnergyConsumption",
                "ai_trainingEnergyConsumption": [
                    {
                        "type": "ai_EnergyConsumptionDescription",
                        "ai_energyQuantity": str(outcome["kwh"]),
                        "ai_energyUnit": "kilowattHour",
                    }
                ],
            },
        },
        {
            "type": "dataset_DatasetPackage",
            "spdxId": texts,
            "creationInfo": _MADE,
            "name": recipe["data"]["name"],
            "software_packageVersion": record["version"],
            "software_primaryPurpose": "data",
            "software_downloadLocation": "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement",
            "builtTime": f"{record['date']}T00:00:00Z",
            "releaseTime": f"{record['date']}T00:00:00Z",
            "originatedBy": [publisher],
            "verifiedUsing": [_hash(record["ingredients"]["documents"]["digest"])],
            "dataset_datasetType": ["text"],
            "dataset_datasetSize": summary["kept_bytes"],
            "dataset_datasetAvailability": "directDownload",
            "dataset_dataCollectionProcess": recipe["data"]["description"] or "data/README.md",
            "dataset_dataPreprocessing": [f"{rule}: {count} left out" for rule, count in summary["excluded"].items()],
            "dataset_knownBias": [recipe["data"]["warning"]] if recipe["data"]["warning"] else [],
            "dataset_intendedUse": "Training and measuring this model.",
            "dataset_hasSensitivePersonalInformation": "noAssertion",
        },
        {
            "type": "software_Package",
            "spdxId": program,
            "creationInfo": _MADE,
            "name": record["made_by"],
            "software_primaryPurpose": "source",
            "software_sourceInfo": f"recipe/source.tar, commit {code['commit']}",
            "verifiedUsing": [_hash(code["digest"])],
        },
        *(
            {
                "type": "software_Package",
                "spdxId": library,
                "creationInfo": _MADE,
                "name": row["name"],
                "software_packageVersion": row["version"],
                "software_primaryPurpose": "library",
                "comment": f"licence, as it says itself: {row['licence']}",
            }
            for library, row in zip(libraries, packages, strict=True)
        ),
    ]
    relations = [
        (model, "trainedOn", [texts]),
        (model, "testedOn", [texts]),
        (model, "usesTool", [program]),
        (program, "dependsOn", libraries),
    ]
    for number, (owner, expression) in enumerate(licences.items()):
        elements.append(
            {
                "type": "simplelicensing_LicenseExpression",
                "spdxId": place + f"licence-{number}",
                "creationInfo": _MADE,
                "simplelicensing_licenseExpression": expression,
            }
        )
        relations.append((owner, "hasDeclaredLicense", [place + f"licence-{number}"]))
        relations.append((owner, "hasConcludedLicense", [place + f"licence-{number}"]))
    elements += [
        {
            "type": "Relationship",
            "spdxId": place + f"relation-{number}",
            "creationInfo": _MADE,
            "from": one,
            "relationshipType": kind,
            "to": others,
        }
        for number, (one, kind, others) in enumerate(relations)
        if others
    ]
    document = {
        "type": "SpdxDocument",
        "spdxId": place + "document",
        "creationInfo": _MADE,
        "name": f"{record['name']} {record['version']}",
        "profileConformance": ["core", "software", "simpleLicensing", "ai", "dataset"],
        "rootElement": [model],
        "element": [element["spdxId"] for element in elements],
    }
    made = {
        "type": "CreationInfo",
        "@id": _MADE,
        "specVersion": "3.0.1",
        "created": f"{record['date']}T00:00:00Z",
        "createdBy": [publisher],
    }
    return {"@context": _CONTEXT, "@graph": [made, document, *elements]}


def _hash(digest: str) -> dict[str, str]:
    return {"type": "Hash", "algorithm": "sha256", "hashValue": digest}


def _plain(name: Any) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", str(name))
