"""Samples: text from a model."""

from train.sample.generate import Sampling, Speaker, new_tokens, speak

__all__ = ["Sampling", "Speaker", "new_tokens", "speak"]
