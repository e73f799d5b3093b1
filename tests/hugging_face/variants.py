"""Small models of every family and variant, on odd shapes, with their weights perturbed."""

from typing import Any

import torch

from train.model import CONFIGS, LanguageModel, build_model
from train.model.positions import RopeScaling

VOCABULARY = 101
_SHAPE: dict[str, Any] = {"vocab_size": VOCABULARY, "seq_len": 40, "n_layers": 3}
LLAMA3 = RopeScaling(kind="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_seq_len=24)

VARIANTS: dict[str, dict[str, Any]] = {
    "llama-2": {"name": "llama", "d_model": 24, "n_heads": 3, "n_kv_heads": 3, "d_head": 8, "d_ff": 37},
    "llama-grouped": {"name": "llama", "d_model": 24, "n_heads": 6, "n_kv_heads": 2, "d_head": 8, "d_ff": 37},
    "llama-one-key-head": {"name": "llama", "d_model": 24, "n_heads": 3, "n_kv_heads": 1, "d_head": 6, "d_ff": 37},
    "llama-3": {
        "name": "llama", "d_model": 24, "n_heads": 6, "n_kv_heads": 2, "d_head": 8, "d_ff": 37, "rope_scaling": LLAMA3,
        "rope_theta": 500.0,
    },
    "llama-3-tied": {
        "name": "llama", "d_model": 24, "n_heads": 4, "n_kv_heads": 2, "d_head": 6, "d_ff": 37, "tie_embeddings": True,
        "rope_scaling": RopeScaling(kind="linear", factor=2.0),
    },
    "gpt2": {"name": "gpt2", "d_model": 24, "n_heads": 3, "d_ff": 50},
    "bloom": {"name": "bloom", "d_model": 40, "n_heads": 5, "d_ff": 160},
    "falcon-7b": {"name": "falcon", "d_model": 24, "n_heads": 3, "d_ff": 50},
    "falcon-rw": {
        "name": "falcon", "kind": "rw", "d_model": 24, "n_heads": 6, "n_kv_heads": 6, "d_ff": 96,
    },
    "falcon-40b": {
        "name": "falcon", "kind": "40b", "d_model": 36, "n_heads": 6, "n_kv_heads": 2, "d_ff": 70,
    },
    "bert": {"name": "bert", "d_model": 24, "n_heads": 3, "d_ff": 50},
    "t5": {"name": "t5", "d_model": 24, "n_heads": 3, "d_head": 10, "d_ff": 50, "n_decoder_layers": 2},
    "t5-1.1": {
        "name": "t5", "d_model": 24, "n_heads": 3, "d_head": 10, "d_ff": 50, "n_decoder_layers": 3, "gated": True,
        "tie_embeddings": False,
    },
    "xlnet": {"name": "xlnet", "d_model": 24, "n_heads": 3, "d_ff": 50},
    "xlnet-clamped": {"name": "xlnet", "d_model": 30, "n_heads": 5, "d_ff": 50, "clamp_len": 7},
}  # fmt: skip
CAUSAL = [name for name, shape in VARIANTS.items() if shape["name"] in {"gpt2", "llama", "falcon", "bloom"}]


def make(variant: str, seed: int = 1) -> LanguageModel:
    """The model of a variant; biases and norms perturbed, so that none is what it would be by default."""
    shape = _SHAPE | VARIANTS[variant]
    model = build_model(CONFIGS[shape["name"]](**shape))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=random)
            norm = parameter.ndim == 1 and not name.endswith(("bias", "embedding"))
            scale = 0.2 if parameter.ndim == 1 or shape["name"] == "t5" else 0.3
            parameter.copy_(values * scale + (1.0 if norm else 0.0))
    return model.eval()


def agree(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = 1e-5) -> None:
    """Within so much of the largest value."""
    assert ours.shape == theirs.shape
    worst = (ours - theirs).abs().max() / theirs.abs().max()
    assert worst <= tolerance, f"{worst:.1e}"
