"""An audit's answer as an in-toto statement: a simple verification result (SVR 0.2), of what was found to hold."""

from typing import Any

from train.records import Json
from train.standards.build_record import STATEMENT

RESULT = "https://in-toto.io/attestation/svr/v0.2"


def audit_record(answer: Json, verifier: str, time: str) -> dict[str, Any]:
    """For attest/audits/. `answer`: what `audit --json` writes; `time`: ISO 8601, in UTC."""
    findings = [f"{row['id']}: {row['status']}" for row in answer["findings"]]
    verdicts = [f"{name}: {verdict}" for name, verdict in answer["verdicts"].items()]
    return {
        "_type": STATEMENT,
        "subject": [{"name": "release.json", "digest": {"sha256": answer["digest"]}}],
        "predicateType": RESULT,
        "predicate": {
            "verifier": {"id": verifier},
            "timeCreated": time,
            "properties": [f"level: {answer['level']}", *verdicts, *findings],
        },
    }
