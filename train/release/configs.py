"""What a release is told."""

from dataclasses import dataclass, field

from train.records import MACHINE, BadInput

_FEWEST, _MOST = 3, 10  # trainings from which bounds are drawn


@dataclass(kw_only=True)
class ReleaseConfig:
    """Who publishes, under which licence, and what the model is for; `gguf` adds a file for llama.cpp.

    `sign`: a private ed25519 key (PEM) that signs the build record; its place is not published. `seeds`: 3 or more
    train as many models and publish how far their scores lie apart: a rebuild that is not identical is judged by it.
    `made_from`: the release that this one remakes, and what was changed (`python -m train remake` writes it).
    `bearable_eur`: what the publisher holds that somebody else could spend to do it again. `trials`: what the runs cost
    that came before this one and are not published.
    """

    version: str = field(default="1.0.0", metadata=MACHINE)
    weights_licence: str = field(default="Apache-2.0", metadata=MACHINE)
    publisher: str = field(default="whoever ran this recipe (release.publisher names them)", metadata=MACHINE)
    contact: str = field(default="whoever gave you this folder (release.contact names them)", metadata=MACHINE)
    gguf: bool = field(default=False, metadata=MACHINE)
    sign: str = field(default="", metadata=MACHINE)
    seeds: int = field(default=1, metadata=MACHINE)
    made_from: dict[str, str] = field(default_factory=dict, metadata=MACHINE)
    bearable_eur: float = field(default=100.0, metadata=MACHINE)
    trials: str = field(default="not stated (release.trials says)", metadata=MACHINE)
    purpose: str = field(
        default=(
            "Teaching and research: to see, remake and change every step between documents and a language model, on an "
            "ordinary computer."
        ),
        metadata=MACHINE,
    )
    not_for: str = field(
        default=(
            "Answering questions, giving advice, or any use in which somebody relies on what it says. It has learned "
            "how a few texts sound, not what is true."
        ),
        metadata=MACHINE,
    )

    def __post_init__(self) -> None:
        if self.seeds not in {1, *range(_FEWEST, _MOST + 1)}:
            raise BadInput(f"release.seeds={self.seeds}: 1, or from {_FEWEST} to {_MOST}: two say nothing of chance")
        for name in ("version", "weights_licence", "publisher", "contact", "trials", "purpose", "not_for"):
            if not getattr(self, name).strip():
                raise BadInput(f"release.{name} is empty: every field of a card is filled")
