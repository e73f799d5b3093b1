"""Tuning: a model that is there learns from examples: supervised, by low-rank adapters, from preferences; labels."""

from train.tune.adapters import Adapted, adapt, adapted, merge
from train.tune.base import Base, open_base
from train.tune.config import TuneConfig, TuneName
from train.tune.lesson import Lesson, label_rules, lesson_of, rows_of, rules_of
from train.tune.marks import Marks, Span
from train.tune.packing import Packed, TextToText, pack
from train.tune.peft import save_adapter
from train.tune.preferences import Preference

__all__ = [
    "Adapted",
    "Base",
    "Lesson",
    "Marks",
    "Packed",
    "Preference",
    "Span",
    "TextToText",
    "TuneConfig",
    "TuneName",
    "adapt",
    "adapted",
    "label_rules",
    "lesson_of",
    "merge",
    "open_base",
    "pack",
    "rows_of",
    "rules_of",
    "save_adapter",
]
