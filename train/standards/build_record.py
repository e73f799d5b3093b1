"""The build record: what a release was made from, by what and where, as SLSA provenance (v1) in an in-toto statement.

After Debian's .buildinfo: what was used, rather too much than too little, and what could have tainted it.
"""

from typing import Any

from train.records import Json, base_of

STATEMENT = "https://in-toto.io/Statement/v1"
TRAINING = "fusee-training-1"
PROVENANCE = "https://slsa.dev/provenance/v1"


def build_record(record: Json, recipe: Json, packages: list[dict[str, str]]) -> dict[str, Any]:
    """attest/traininfo.json, about a sealed release.json."""
    ingredients = record["ingredients"]
    used = [
        {"name": name, "digest": {"sha256": ingredients[name]["digest"]}}
        for name in ("documents", "excluded", "tokenizer", "config", "code")
    ]
    if (base := base_of(record)) is not None:
        used.append({"name": "base", "digest": {"sha256": base["digest"]}})
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": "release.json", "digest": {"sha256": record["digest"]}},
            {"name": "weights", "digest": {"sha256": record["weights"]["digest"]}},
        ],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": TRAINING,
                "externalParameters": {"recipe": "recipe/config.yaml"},
                "internalParameters": {
                    **record["numerics"],
                    "environment": dict(record["environment"]),
                    "taints": taints(record, recipe),
                },
                "resolvedDependencies": [
                    *used,
                    *({"name": row["name"], "digest": {}, "annotations": row} for row in packages),
                ],
            },
            "runDetails": {
                "builder": {"id": record["publisher"], "version": {"fusee": record["made_by"]}},
            },
        },
    }


def rebuild_record(record: Json, facts: Json, builder: str, environment: Json) -> dict[str, Any]:
    """The same predicate from another builder: what was remade of a release, and whether it is identical."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": "release.json", "digest": {"sha256": record["digest"]}}],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": "fusee-rebuild-1",
                "externalParameters": {"level": facts["level"]},
                "internalParameters": {**record["numerics"], "environment": dict(environment)},
                "resolvedDependencies": [
                    {"name": "code", "digest": {"sha256": record["ingredients"]["code"]["digest"]}}
                ],
            },
            "runDetails": {
                "builder": {"id": builder},
                "byproducts": [{"name": "rebuild", "annotations": dict(facts)}],
            },
        },
    }


def taints(record: Json, recipe: Json) -> list[str]:
    """What in the run could have let something in that is not written down."""
    code, found = record["ingredients"]["code"], []
    if code["clean"] is False:
        found.append("the source held changes that were not committed (they are in recipe/source.tar)")
    if code["clean"] is None:
        found.append("the source was no git checkout")
    if record["cost"]["attempts"] > 1:
        found.append(f"the run was resumed: {record['cost']['attempts']} starts")
    if fetched := [name for name, source in recipe["data"]["sources"].items() if source["kind"] != "files"]:
        found.append(f"the network brought the texts of {', '.join(fetched)}, held to a digest or a revision")
    return found
