"""The published sizes: as many parameters as were published."""

import pytest
import torch
import transformers

from train.config import compose
from train.model import FAMILIES, build_model

# The vocabulary each was published with, and its parameters (a tied head counted once, XLNet's with its biases).
PUBLISHED = {
    "gpt2": (50257, 124_439_808),
    "bloom": (250880, 559_214_592),
    "llama": (32000, 6_738_415_616),
    "falcon": (65024, 7_217_189_760 - 65024 * 4544),
    "bert": (30522, 109_514_298),
    "t5": (32128, 222_903_552),
    "xlnet": (32000, 116_718_336 + 32_000),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_as_many_parameters_as_published(family: str) -> None:
    vocabulary, parameters = PUBLISHED[family]
    config = compose(["+experiment=tiny", f"model={family}_base", f"tokenizer.vocab_size={vocabulary}"])
    with torch.device("meta"):
        ours = build_model(config.model)
        theirs_config = transformers.AutoConfig.for_model(family, **ours.to_theirs(config.model))
        theirs = getattr(transformers, ours.ARCHITECTURE)(theirs_config)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters()) == parameters
