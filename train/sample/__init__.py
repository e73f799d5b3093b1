"""Samples: text from a model."""

from train.sample.generate import Sampling, generate

__all__ = ["Sampling", "generate"]
