"""Standards: one writer each, exports of release.json."""

from train.standards.build_record import build_record, rebuild_record
from train.standards.eu_summary import eu_summary
from train.standards.withdrawal import withdrawal_record

__all__ = ["build_record", "eu_summary", "rebuild_record", "withdrawal_record"]
