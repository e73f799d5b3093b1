"""LoRA and DoRA: low-rank changes of frozen linear layers, put in from outside; the model cannot tell.

Hu et al., "LoRA", 2021: W x + (alpha / r) B A x, with A random and B zero at first. Liu et al., "DoRA", 2024: the rows
of the changed matrix keep their direction and are given lengths of their own, which are learned.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from train.model import LanguageModel, summed_values
from train.numerics import piece_of
from train.records import BadInput, printable
from train.tune.config import TuneConfig


class Adapted(nn.Linear):
    """A linear layer, its weight and bias frozen and under their old names, with an adapter beside them."""

    def __init__(self, linear: nn.Linear, config: TuneConfig, seed: int, name: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.scale = config.alpha / config.rank
        self.adapter_a = nn.Parameter(linear.weight.new_empty(config.rank, self.in_features))
        drawn = summed_values(piece_of(self.adapter_a), seed, f"{name}.adapter_a")
        self.adapter_a.data.copy_(drawn / math.sqrt(3 * self.in_features))
        self.adapter_b = nn.Parameter(linear.weight.new_zeros(self.out_features, config.rank))
        lengths = _lengths(linear.weight.detach().double()).to(linear.weight)
        self.magnitude = nn.Parameter(lengths) if config.dora else None

    def forward(self, input: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        """The layer as it is now."""
        out = functional.linear(input, self.weight)
        out = out + functional.linear(functional.linear(input, self.adapter_a), self.adapter_b) * self.scale
        if self.magnitude is not None:  # the lengths are taken as given: no gradient goes through them (section 4.3)
            with torch.no_grad():
                lengths = _lengths(self.weight + self.adapter_b @ self.adapter_a * self.scale)
            out = out * (self.magnitude / lengths).to(out.dtype)
        return out if self.bias is None else out + self.bias

    def merged(self) -> Float[Tensor, "O I"]:
        """One matrix that does the same."""
        weight, a, b = (part.detach().double() for part in (self.weight, self.adapter_a, self.adapter_b))
        whole = weight + b @ a * self.scale
        if self.magnitude is not None:
            whole = whole * (self.magnitude.detach().double() / _lengths(whole))[:, None]
        merged: Tensor = whole.to(self.weight.dtype)
        return merged


def _lengths(matrix: Float[Tensor, "O I"]) -> Float[Tensor, " O"]:
    lengths: Tensor = torch.linalg.vector_norm(matrix, dim=1)
    return lengths


def adapt(model: LanguageModel, config: TuneConfig, seed: int) -> None:
    """Freeze all of `model` and give an adapter to each of the layers that the config names.

    Raises BadInput for a name that no layer has, or one whose tensor Hugging Face's format does not keep apart.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    inner = {name: layer for name, layer in layers.items() if layer is not model.head}
    apart = {name for name in inner if name in their_modules(model)}
    wanted = {name for name in inner if not config.targets or name.rpartition(".")[2] in config.targets}
    known = sorted({name.rpartition(".")[2] for name in apart})
    if unknown := set(config.targets) - {name.rpartition(".")[2] for name in inner}:
        raise BadInput(f"tune.targets: no layer is called {printable(min(unknown))}; known: {', '.join(known)}")
    if config.targets and (fused := wanted - apart):
        raise BadInput(
            f"tune.targets: {min(fused).rpartition('.')[2]} of a {model.config.name} shares one tensor with others in "
            f"Hugging Face's format, which an adapter in PEFT's format cannot part: tune.targets=[{','.join(known)}]"
        )
    model.requires_grad_(False)
    for name in sorted(wanted & apart):
        model.set_submodule(name, Adapted(inner[name], config, seed, name))


def adapted(model: LanguageModel) -> dict[str, Adapted]:
    """The layers of `model` that have an adapter, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Adapted)}


def merge(model: LanguageModel) -> None:
    """Put the adapters into the weights: plain linear layers again."""
    for name, layer in adapted(model).items():
        plain = nn.Linear(layer.in_features, layer.out_features, bias=False)
        plain.weight, plain.bias = nn.Parameter(layer.merged()), layer.bias
        model.set_submodule(name, plain)
    model.requires_grad_(True)


def their_modules(model: LanguageModel) -> dict[str, tuple[str, bool]]:
    """Of each layer whose weight is a tensor of its own in their format: its name there, and whether they turn it."""
    found = {}
    for row in model.stored():
        if len(row.ours) == 1 and row.ours[0].endswith(".weight") and row.theirs.endswith(".weight"):
            turned = row.join([torch.empty(2, 3, device="meta")]).shape == (3, 2)
            found[row.ours[0].removesuffix(".weight")] = (row.theirs.removesuffix(".weight"), turned)
    return found
