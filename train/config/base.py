"""Of a tuning, what its base says: the model, its tokenizer, and the digest that stands for both."""

from dataclasses import replace

from train.batches import ObjectiveConfig, ObjectiveName
from train.config.schema import Config
from train.model import FAMILIES
from train.tokens import TokenizerConfig, TokenizerKind, load_tokenizer
from train.tune import Base


def on_base(config: Config, base: Base) -> Config:
    """`config` with the model and the tokenizer of its base."""
    names = load_tokenizer(base.folder)
    vocabulary = base.vocabulary
    tokenizer = TokenizerConfig(
        kind=TokenizerKind.taken,
        vocab_size=base.config.vocab_size,
        end_of_text=str(names.id_to_token(vocabulary.need("end"))),
        pad_token=str(names.id_to_token(vocabulary.roles["pad"])) if "pad" in vocabulary.roles else "",
        sentinels=len(vocabulary.sentinels),
    )
    learned = ObjectiveName(FAMILIES[base.config.name].OBJECTIVE)
    objective = ObjectiveConfig(name=learned, share=1.0 if learned is ObjectiveName.causal else 0.15)
    tune = replace(config.tune, digest=base.digest)
    return replace(config, model=base.config, tokenizer=tokenizer, objective=objective, tune=tune)
