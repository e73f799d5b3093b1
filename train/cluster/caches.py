"""Caches below the project's own: a node may have no home that can be written, and a cluster's quota there is small."""

import os
from pathlib import Path

_CACHES = {
    "TORCHINDUCTOR_CACHE_DIR": "compiled",
    "TRITON_CACHE_DIR": "triton",
    "HF_HUB_CACHE": "huggingface/hub",
    "HF_DATASETS_CACHE": "huggingface/datasets",
    "MPLCONFIGDIR": "matplotlib",
    "WANDB_CACHE_DIR": "wandb",
    "WANDB_CONFIG_DIR": "wandb",
    "WANDB_DATA_DIR": "wandb",
}


def use_caches(folder: Path) -> None:
    """Tell the libraries, before they are imported, to keep their caches in `folder`; what the user has set stays."""
    for name, place in _CACHES.items():
        os.environ.setdefault(name, str(folder.resolve() / place))
