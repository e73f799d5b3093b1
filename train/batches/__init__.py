"""Batches: which sequences make which step, what is hidden in them, and the tokens in them."""

from train.batches.loader import Batches, Sequences, load_batches
from train.batches.objectives import (
    Causal,
    Objective,
    ObjectiveConfig,
    ObjectiveName,
    Permutation,
    build_objective,
    check_needs,
    spans_of,
)
from train.batches.order import check_order, order, order_digest, whole_order

__all__ = [
    "Batches",
    "Causal",
    "Objective",
    "ObjectiveConfig",
    "ObjectiveName",
    "Permutation",
    "Sequences",
    "build_objective",
    "check_needs",
    "check_order",
    "load_batches",
    "order",
    "order_digest",
    "spans_of",
    "whole_order",
]
