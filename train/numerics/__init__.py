"""Arithmetic that all rooms share: integer hashes, digests of tensors, and what this machine computes in."""

from train.numerics.digests import digest_tensors, save_tensors
from train.numerics.hashing import hash_integers, hash_rows, permute, uniform_integers, uniform_rows
from train.numerics.machine import Choices, describe_machine, look_at_machine

__all__ = [
    "Choices",
    "describe_machine",
    "digest_tensors",
    "hash_integers",
    "hash_rows",
    "look_at_machine",
    "permute",
    "save_tensors",
    "uniform_integers",
    "uniform_rows",
]
