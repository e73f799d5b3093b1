"""Samples: text from a model."""

from train.sample.generate import Sampling, generate, speak

__all__ = ["Sampling", "generate", "speak"]
