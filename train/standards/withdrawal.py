"""A withdrawal as an in-toto statement: which texts of a release may no longer be used, why, and what was changed."""

from typing import Any

from train.records import Json
from train.standards.build_record import STATEMENT


def withdrawal_record(
    record: Json, documents: list[dict[str, Any]], files: list[dict[str, str]], why: str, by: str, date: str
) -> dict[str, Any]:
    """For attest/withdrawals/. `files`: those of the release that hold the texts no more, with both digests."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": "release.json", "digest": {"sha256": record["digest"]}}],
        "predicateType": "fusee-withdrawal-1",
        "predicate": {"date": date, "by": by, "why": why, "documents": documents, "files": files},
    }
