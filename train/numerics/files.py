"""Safetensors files that several processes write: each puts its pieces where they belong, and one file comes out.

The file is the one that a single process writes, byte for byte: whoever reads it need not know how many there were.
"""

import json
import os
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from train.numerics.pieces import Piece, Spread
from train.records import BadInput

_NAMES = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64"}


def begin_file(path: Path, tensors: Spread) -> None:
    """A file with the header of these tensors and room for them. Raises OSError if there is none."""
    header, size = _header(tensors)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)


def write_pieces(path: Path, tensors: Spread) -> None:
    """Write what is here into a file that was begun, and have it on the disk. Raises OSError if there is no room."""
    start = len(_header(tensors)[0])
    descriptor = os.open(path, os.O_WRONLY)
    try:
        for name, (offset, _) in _offsets(tensors).items():
            held = tensors.held[name]
            if held.piece.first and held.value.numel():
                _write(descriptor, start + offset, held.piece, held.value)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_pieces(path: Path, tensors: Spread) -> None:
    """Look again at what was written here, when all have written. Raises OSError if it is no longer that."""
    file = TensorFile(path)
    for name, held in tensors.held.items():
        if held.piece.first and held.value.numel() and not torch.equal(file.read(name, held.piece), held.value):
            raise OSError(f"{path}: {name} is not what was written: does the file system lose writes of several nodes?")


def _write(descriptor: int, offset: int, piece: Piece, value: Tensor) -> None:
    """Rows that are here from end to end lie in the file as one; of others each is written by itself."""
    size, raw = value.element_size(), value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    if len(piece.whole) < 2 or piece.spans[1] == slice(0, piece.whole[1]):
        first = piece.spans[0].start * prod(piece.whole[1:]) * size if piece.whole else 0
        _write_all(descriptor, raw.data, offset + first)
        return
    _, columns = piece.whole
    rows, part = piece.spans
    for number, row in enumerate(raw.reshape(rows.stop - rows.start, -1)):
        _write_all(descriptor, row.data, offset + ((rows.start + number) * columns + part.start) * size)


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        done = os.pwrite(descriptor, data, offset)
        data, offset = data[done:], offset + done


def _offsets(tensors: Spread) -> dict[str, tuple[int, int]]:
    """Where each tensor begins and ends behind the header; those of wide elements come first, so all are aligned."""
    found, at = {}, 0
    for name in sorted(tensors, key=lambda name: (-tensors.held[name].value.element_size(), name)):
        held = tensors.held[name]
        size = prod(held.piece.whole) * held.value.element_size()
        found[name], at = (at, at + size), at + size
    return found


def _header(tensors: Spread) -> tuple[bytes, int]:
    """The header (its length, JSON, spaces up to a multiple of 8) and the bytes of all that follows it."""
    offsets = _offsets(tensors)
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for name, place in offsets.items():
        held = tensors.held[name]
        table[name] = {"dtype": _NAMES[held.value.dtype], "shape": held.piece.whole, "data_offsets": place}
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, max((stop for _, stop in offsets.values()), default=0)


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a safetensors file, read one at a time or in part. Raises BadInput for what is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: Any = safe_open(path, "pt")
            self._names = frozenset(self._file.keys())  # type: ignore[no-untyped-call]
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{path}: not a safetensors file that can be read ({error})") from error

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str, piece: Piece) -> Tensor:
        """One piece of a tensor; no more is read. Raises BadInput if the tensor is of another shape."""
        if name not in self._names or self.shape(name) != piece.whole:
            raise BadInput(f"{self._path}: its tensors are another model's")
        part: Tensor = self._file.get_slice(name)[piece.spans] if piece.whole else self[name]
        return part

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        tensor: Tensor = self._file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)
