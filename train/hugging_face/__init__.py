"""Other programs' formats: Hugging Face's names and ours, both ways; GGUF. No pickle, no remote code, no network."""

from train.hugging_face.folders import from_hugging_face, read_model_config, to_hugging_face
from train.hugging_face.gguf import About, to_gguf

__all__ = ["About", "from_hugging_face", "read_model_config", "to_gguf", "to_hugging_face"]
