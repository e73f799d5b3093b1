"""Models: the block library and one file per family."""

from train.model.llama import Llama, LlamaConfig

FAMILIES = {"llama": Llama}


def build_model(config: LlamaConfig) -> Llama:
    """The model of this config, its weights not yet initialised."""
    return FAMILIES[config.name](config)


__all__ = ["FAMILIES", "Llama", "LlamaConfig", "build_model"]
