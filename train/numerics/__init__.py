"""Arithmetic that all rooms share: integer hashes, the exact rounding, digests of tensors, a look at the machine."""

from train.numerics.digests import digest_tensors, save_tensors
from train.numerics.files import TensorFile, begin_file, check_pieces, write_pieces
from train.numerics.hashing import hash_integers, hash_rows, integers_at, permute, uniform_integers, uniform_rows
from train.numerics.machine import (
    Choices,
    check_float8,
    describe_machine,
    device_memory_bytes,
    free_memory_bytes,
    has_compiler,
    look_at_machine,
    peak_memory_bytes,
    settle,
)
from train.numerics.pieces import Held, Piece, Spread, like, local, master_weights, piece_of, whole
from train.numerics.rounding import Rounding, expected_flips
from train.numerics.safe import OnlySafe
from train.numerics.widen import widen

__all__ = [
    "Choices",
    "Held",
    "OnlySafe",
    "Piece",
    "Rounding",
    "Spread",
    "TensorFile",
    "begin_file",
    "check_float8",
    "check_pieces",
    "describe_machine",
    "device_memory_bytes",
    "digest_tensors",
    "expected_flips",
    "free_memory_bytes",
    "has_compiler",
    "hash_integers",
    "hash_rows",
    "integers_at",
    "like",
    "local",
    "look_at_machine",
    "master_weights",
    "peak_memory_bytes",
    "permute",
    "piece_of",
    "save_tensors",
    "settle",
    "uniform_integers",
    "uniform_rows",
    "whole",
    "widen",
    "write_pieces",
]
