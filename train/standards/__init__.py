"""Standards: one writer each, exports of release.json."""

from train.standards.build_record import build_record, rebuild_record
from train.standards.eu_summary import eu_summary

__all__ = ["build_record", "eu_summary", "rebuild_record"]
