"""The model that is tuned: one of our releases, or a folder in Hugging Face's format of a family known here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.hugging_face import from_hugging_face, read_model_config
from train.model import FAMILIES, T5, Bert, Decoder, LanguageModel, ModelConfig, XLNet, purpose_of
from train.numerics import digest_tensors
from train.records import BadInput, digest_file, digest_json, printable, read_json
from train.release import RECORD, SUMS, read_release
from train.tokens import (
    TEMPLATE,
    TEXT_TO_TEXT,
    Chat,
    Marker,
    Vocabulary,
    chat_template,
    load_tokenizer,
    load_vocabulary,
    take_over,
)
from train.tune.config import TuneConfig


@dataclass(frozen=True)
class Base:
    """`record`: its release.json, or nothing: then nobody says what it was made from."""

    folder: Path
    name: str
    digest: str
    config: ModelConfig
    vocabulary: Vocabulary
    record: dict[str, Any] | None

    def check(self, config: TuneConfig) -> None:
        """Raises BadInput if a model of this family cannot be tuned that way."""
        family, shown = FAMILIES[self.config.name], printable(str(self.folder))
        if config.purpose and not issubclass(family, Bert | XLNet):
            raise BadInput(
                f"tune.from={shown}: a {self.config.name} puts no labels on what it reads (tune={config.name.value}); "
                "bert and xlnet do"
            )
        if config.purpose is None and not issubclass(family, Decoder | T5):
            does = "fills masks in" if family is Bert else "predicts in random orders"
            raise BadInput(
                f"tune.from={shown}: a {self.config.name} {does} and gives no answers; gpt2, llama, falcon, bloom and "
                "t5 can. It can learn labels: tune=tag, tune=classify or tune=extract"
            )
        if purpose_of(read_json(self.folder / "config.json")):
            raise BadInput(f"tune.from={shown}: has a head for labels in place of its language model's: tune its base")

    def load(self) -> LanguageModel:
        """The model with its weights. Raises BadInput if they are not those that its release.json names."""
        model = from_hugging_face(self.folder)
        if self.record is not None:
            try:
                stated = self.record["weights"]["digest"]
            except (KeyError, TypeError) as error:
                raise BadInput(f"{self.folder}/{RECORD}: does not say which weights are its") from error
            if digest_tensors(dict(model.named_parameters())) != stated:
                raise BadInput(f"{self.folder}: its weights are not those that its {RECORD} names")
        return model

    def lineage(self, weights: str, changes: str, why: str) -> dict[str, str]:
        """Its row in the lineage of what is made from it; `weights`: the digest of those that were begun from."""
        known = {} if self.record is not None else {"declared": "no release: nobody says what it was made from"}
        return {
            "release": self.name,
            "digest": self.digest,
            "weights": weights,
            "changes": changes,
            "why": why,
            **known,
        }

    def chat(self) -> Chat:
        """Its tokenizer and its chat template, or ours where it has none."""
        usual = TEXT_TO_TEXT if self.vocabulary.sentinels else TEMPLATE
        return Chat(load_tokenizer(self.folder), self.vocabulary, chat_template(self.folder) or usual)

    def marker(self, labels: Sequence[str] = ()) -> Marker:
        """Its tokenizer, that puts marks for labels."""
        return Marker(load_tokenizer(self.folder), self.vocabulary, labels)

    def hand_over(self, folder: Path, config: TuneConfig) -> str:
        """Copy its tokenizer to `folder`, with what this tuning needs to be known of it; returns its digest.

        A model that answers has a chat template. An XLNet that labels is padded on the left, so that the last token,
        which stands for the whole, is one of the text.
        """
        if config.purpose is None:
            chat = self.chat()
            return take_over(self.folder, folder, chat.names(), {"chat_template": chat.template})
        tokenizer, numbers = load_tokenizer(self.folder), self.vocabulary.hugging_face()
        names = {name.removesuffix("_id"): str(tokenizer.id_to_token(number)) for name, number in numbers.items()}
        side = "left" if issubclass(FAMILIES[self.config.name], XLNet) else "right"
        return take_over(self.folder, folder, names, {"padding_side": side})

    def papers(self) -> dict[str, Path]:
        """Its release.json and sums, by the name under which they go into what is made from it."""
        found = {"lineage/release.json": self.folder / RECORD, "lineage/SHA256SUMS": self.folder / SUMS}
        return {name: path for name, path in found.items() if self.record is not None and path.is_file()}


def open_base(folder: Path, digest: str = "") -> Base:
    """The base in `folder`. Raises BadInput if it is none, cannot be tuned here, or its tokenizer does not fit it; and
    if its digest is not `digest`, where one is known."""
    found = _open(folder)
    if digest and found.digest != digest:
        raise BadInput(f"{printable(str(folder))}: not the model that was tuned (its digest is {found.digest[:12]})")
    return found


def _open(folder: Path) -> Base:
    shown = printable(str(folder))
    if not (folder / "config.json").is_file():
        kind = "neither a release nor a Hugging Face folder: there is no config.json in it"
        raise BadInput(f"tune.from={shown}: {kind if folder.is_dir() else 'there is no such folder'}")
    config = read_model_config(folder)
    if not (folder / "tokenizer.json").is_file():
        raise BadInput(f"tune.from={shown}: its tokenizer is missing (there is no tokenizer.json in it)")
    vocabulary = load_vocabulary(folder)
    if vocabulary.size > config.vocab_size:
        raise BadInput(
            f"tune.from={shown}: its tokenizer has {vocabulary.size} tokens, its model {config.vocab_size}: "
            "they do not belong together"
        )
    record = read_release(folder) if (folder / RECORD).is_file() else None
    if record is None:
        return Base(folder, printable(folder.resolve().name), _digest_of(folder), config, vocabulary, None)
    name, digest = str(record.get("name")), str(record.get("digest"))
    return Base(folder, printable(name), digest, config, vocabulary, record)


def _digest_of(folder: Path) -> str:
    """Of the files that make a model of a folder without a release.json."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".json", ".safetensors", ".jinja"})
    return digest_json({path.name: digest_file(path) for path in files})
