"""Hugging Face's format: their names and ours, both ways. No pickle, no remote code, no network."""

from train.hugging_face.folders import from_hugging_face, to_hugging_face

__all__ = ["from_hugging_face", "to_hugging_face"]
