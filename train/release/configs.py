"""What a release is told."""

from dataclasses import dataclass

from train.records import BadInput


@dataclass(kw_only=True)
class ReleaseConfig:
    """Who publishes, under which licence, and what the model is for."""

    version: str = "1.0.0"
    weights_licence: str = "Apache-2.0"
    publisher: str = "whoever ran this recipe (release.publisher names them)"
    contact: str = "whoever gave you this folder (release.contact names them)"
    purpose: str = (
        "Teaching and research: to see, remake and change every step between documents and a language model, on an "
        "ordinary computer."
    )
    not_for: str = (
        "Answering questions, giving advice, or any use in which somebody relies on what it says. It has learned how a "
        "few texts sound, not what is true."
    )

    def __post_init__(self) -> None:
        for name in ("version", "weights_licence", "publisher", "contact", "purpose", "not_for"):
            if not getattr(self, name).strip():
                raise BadInput(f"release.{name} is empty: every field of a card is filled")
