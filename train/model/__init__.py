"""Models: the block library, one file per family, and what they have in common."""

from train.model.bert import Bert, BertConfig
from train.model.bloom import Bloom, BloomConfig
from train.model.context import Cache, LayerCache
from train.model.dropout import Dropout, has_dropout, number_dropouts
from train.model.falcon import Falcon, FalconConfig
from train.model.gpt2 import GPT2, GPT2Config
from train.model.init import summed_values
from train.model.labeller import Labeller, Purpose, purpose_of
from train.model.language_model import Decoder, Family, LanguageModel, ModelConfig
from train.model.llama import Llama, LlamaConfig
from train.model.parts import MLP, Attention, GatedMLP
from train.model.positions import Alibi, RelativeBias
from train.model.relative import RelativeAttention
from train.model.t5 import T5, T5Config
from train.model.theirs import Fields, Stored
from train.model.xlnet import XLNet, XLNetConfig

FAMILIES: dict[str, type[Family]] = {
    "gpt2": GPT2, "llama": Llama, "falcon": Falcon, "bloom": Bloom, "bert": Bert, "t5": T5, "xlnet": XLNet,
}  # fmt: skip
CONFIGS: dict[str, type[ModelConfig]] = {
    "gpt2": GPT2Config, "llama": LlamaConfig, "falcon": FalconConfig, "bloom": BloomConfig, "bert": BertConfig,
    "t5": T5Config, "xlnet": XLNetConfig,
}  # fmt: skip


def build_model(config: ModelConfig) -> LanguageModel:
    """The model of this config, its weights not yet initialised."""
    model = FAMILIES[config.name](config)
    number_dropouts(model)
    return model


__all__ = [
    "CONFIGS", "FAMILIES", "MLP", "T5", "Alibi", "Attention", "Bert", "BertConfig", "Cache", "Decoder", "Dropout",
    "Fields", "GatedMLP", "Labeller", "LanguageModel", "LayerCache", "ModelConfig", "Purpose", "RelativeAttention",
    "RelativeBias", "Stored", "XLNet", "XLNetConfig", "build_model", "has_dropout", "number_dropouts", "purpose_of",
    "summed_values",
]  # fmt: skip
