"""Scores on tasks as an in-toto statement: what somebody found of a release after it was sealed, and with what."""

from typing import Any

from train.records import Json
from train.standards.build_record import STATEMENT


def evaluation_record(record: Json, tasks: Json, by: str, environment: Json, time: str) -> dict[str, Any]:
    """For attest/evaluations/. `tasks`: results by name, as in release.json; `time`: ISO 8601, in UTC."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": "release.json", "digest": {"sha256": record["digest"]}}],
        "predicateType": "fusee-evaluation-1",
        "predicate": {"by": by, "time": time, "environment": dict(environment), "tasks": dict(tasks)},
    }
