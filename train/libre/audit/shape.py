"""The model that a recipe asks for, as a shape: what a config says decides not how much memory is taken."""

import math
from pathlib import Path

import torch

from train.config import Config
from train.model import LanguageModel, build_model
from train.numerics import TensorFile
from train.records import BadInput


def shape_of(recipe: Config, weights: Path) -> LanguageModel:
    """The model on the device "meta", which takes no memory. Raises BadInput if the published weights are of another
    size."""
    config, published = recipe.model, TensorFile(weights)
    if max(config.n_layers, getattr(config, "n_decoder_layers", 0)) > len(published):
        raise BadInput(f"recipe/config.yaml: a model of more layers than there are tensors in {weights.name}")
    with torch.device("meta"):
        model = build_model(config)
    asked = sum(parameter.numel() for parameter in model.parameters())
    there = sum(math.prod(published.shape(name)) for name in published)
    if asked != there and not recipe.tune.on:  # one that was tuned may have another head than its base
        raise BadInput(f"recipe/config.yaml: a model of {asked:,} parameters, and {there:,} are published")
    return model
