"""Tensors on disk, and their digest: of names, types, shapes and values, not of any file."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file and have it on the disk. Raises OSError if there is no room."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(whole, path, metadata={"format": "pt"})
    except SafetensorError as error:  # its way to say that the disk is full
        raise OSError(f"{path.name}: {error}") from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Sha256 over (name, dtype, shape, little-endian bytes) in the order of the names, in hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        total.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{list(tensor.shape)}\0".encode())
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        total.update(np.ascontiguousarray(raw).data)
    return total.hexdigest()
