"""Samples: text from a model."""

from train.sample.ahead import new_tokens
from train.sample.draw import Draw, Option, Sampling
from train.sample.opening import open_speaker, speak
from train.sample.speaker import Answer, Reply, Speaker, Step

__all__ = ["Answer", "Draw", "Option", "Reply", "Sampling", "Speaker", "Step", "new_tokens", "open_speaker", "speak"]
