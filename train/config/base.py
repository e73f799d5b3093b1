"""Of a tuning, what its base says: the model, its tokenizer, and the digest that stands for both."""

from dataclasses import replace
from typing import Any

from train.batches import ObjectiveConfig, ObjectiveName
from train.config.schema import Config
from train.model import FAMILIES
from train.tokens import TokenizerConfig, TokenizerKind, load_tokenizer
from train.tune import Base


def on_base(config: Config, base: Base) -> Config:
    """`config` with the model and the tokenizer of its base. Raises BadInput if that cannot be tuned in its way."""
    base.check(config.tune)
    names = load_tokenizer(base.folder)
    vocabulary = base.vocabulary

    def token(role: str) -> str:
        return str(names.id_to_token(vocabulary.roles[role])) if role in vocabulary.roles else ""

    framed: dict[str, Any] = {f"{role}_token": token(role) for role in ("mask", "cls", "sep")}
    tokenizer = TokenizerConfig(
        kind=TokenizerKind.taken,
        vocab_size=base.config.vocab_size,
        end_of_text=token("end") or token("sep") or str(vocabulary.need("end")),
        pad_token=token("pad"),
        sentinels=len(vocabulary.sentinels),
        **(framed if config.tune.purpose else {}),
    )
    learned = ObjectiveName(FAMILIES[base.config.name].OBJECTIVE)
    objective = ObjectiveConfig(name=learned, share=1.0 if learned is ObjectiveName.causal else 0.15)
    tune = replace(config.tune, digest=base.digest)
    return replace(config, model=base.config, tokenizer=tokenizer, objective=objective, tune=tune)
