"""The digest of a set of tensors: of their names, types, shapes and values, not of any file."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Sha256 over (name, dtype, shape, little-endian bytes) in the order of the names, in hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        total.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{list(tensor.shape)}\0".encode())
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        total.update(np.ascontiguousarray(raw).data)
    return total.hexdigest()
