"""Standards: one writer each, exports of release.json."""

from train.standards.audit_record import audit_record
from train.standards.build_record import TRAINING, build_record, rebuild_record
from train.standards.croissant import croissant
from train.standards.eu_summary import eu_summary
from train.standards.evaluation import evaluation_record
from train.standards.front_matter import front_matter
from train.standards.openness import mof, osaid
from train.standards.reuse import reuse
from train.standards.signature import is_signed, open_envelope, read_key, sign
from train.standards.spdx import spdx
from train.standards.withdrawal import withdrawal_record

__all__ = [
    "TRAINING",
    "audit_record",
    "build_record",
    "croissant",
    "eu_summary",
    "evaluation_record",
    "front_matter",
    "is_signed",
    "mof",
    "open_envelope",
    "osaid",
    "read_key",
    "rebuild_record",
    "reuse",
    "sign",
    "spdx",
    "withdrawal_record",
]
