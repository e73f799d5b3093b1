"""Batches: which sequences make which step, and the tokens in them."""

from train.batches.loader import Sequences, load_batches
from train.batches.order import order

__all__ = ["Sequences", "load_batches", "order"]
