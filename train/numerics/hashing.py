"""Randomness without state: 64-bit integer hashes of a key and a counter, the same on every machine.

splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
The permutation is a Feistel network with cycle-walking: Black and Rogaway, "Ciphers with Arbitrary Finite Domains",
CT-RSA 2002, section 4. It needs no table, so the order of a corpus of any size costs nothing to hold.
"""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = 6


def _mix(x: Integers) -> Integers:
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def hash_integers(*keys: int) -> int:
    """One 64-bit integer from a key of several integers, of any size and sign."""
    state = np.zeros(1, np.uint64)
    for key in keys:
        state = _mix(state ^ np.uint64(key & 0xFFFFFFFFFFFFFFFF))
    return int(state[0])


def uniform_integers(count: int, *keys: int, start: int = 0) -> Integers:
    """`count` 64-bit integers, (count,) uint64: the hashes of (keys, start), (keys, start + 1), ..."""
    return integers_at(np.arange(start, start + count, dtype=np.uint64), *keys)


def integers_at(numbers: Integers, *keys: int) -> Integers:
    """The hashes of (keys, n) for each n of `numbers`, uint64 of any shape: those that `uniform_integers` has there."""
    with np.errstate(over="ignore"):
        return _mix(np.uint64(hash_integers(*keys)) + numbers * _GOLDEN)


def hash_rows(rows: npt.NDArray[np.int64], *keys: int) -> Integers:
    """One 64-bit integer for each number in `rows` (any shape, int64) under these keys."""
    return _mix(_mix(rows.astype(np.uint64)) ^ np.uint64(hash_integers(*keys)))


def uniform_rows(keys: Integers, count: int, site: int) -> Integers:
    """(B,) keys -> (B, count) uint64: each key's own integers at this site."""
    with np.errstate(over="ignore"):
        start = _mix(keys ^ np.uint64(hash_integers(site)))
        return _mix(start[:, None] + np.arange(count, dtype=np.uint64) * _GOLDEN)


def permute(index: npt.NDArray[np.int64], size: int, *keys: int) -> npt.NDArray[np.int64]:
    """Where the permutation of 0..size-1 that `keys` choose sends each entry of `index` (any shape, int64)."""
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    round_keys = [np.uint64(hash_integers(*keys, number)) for number in range(_ROUNDS)]
    value = index.astype(np.uint64)
    outside = np.ones(value.shape, bool)
    while outside.any():
        left, right = value[outside] >> shift, value[outside] & mask
        for key in round_keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        value[outside] = (left << shift) | right
        outside = value >= np.uint64(size)
    return value.astype(np.int64)
