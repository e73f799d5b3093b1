"""Arithmetic that all rooms share: integer hashes, the exact rounding, digests of tensors, a look at the machine."""

from train.numerics.digests import digest_tensors, save_tensors
from train.numerics.hashing import hash_integers, hash_rows, permute, uniform_integers, uniform_rows
from train.numerics.machine import Choices, describe_machine, has_compiler, look_at_machine, peak_memory_bytes
from train.numerics.rounding import Rounding, expected_flips
from train.numerics.safe import OnlySafe
from train.numerics.widen import widen

__all__ = [
    "Choices",
    "OnlySafe",
    "Rounding",
    "describe_machine",
    "digest_tensors",
    "expected_flips",
    "has_compiler",
    "hash_integers",
    "hash_rows",
    "look_at_machine",
    "peak_memory_bytes",
    "permute",
    "save_tensors",
    "uniform_integers",
    "uniform_rows",
    "widen",
]
