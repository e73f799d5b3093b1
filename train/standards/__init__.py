"""Standards: one writer each, exports of release.json."""

from train.standards.build_record import build_record, rebuild_record
from train.standards.eu_summary import eu_summary
from train.standards.signature import is_signed, open_envelope, read_key, sign
from train.standards.withdrawal import withdrawal_record

__all__ = [
    "build_record",
    "eu_summary",
    "is_signed",
    "open_envelope",
    "read_key",
    "rebuild_record",
    "sign",
    "withdrawal_record",
]
