"""A release's tokens, made again from its documents and its tokenizer."""

from collections.abc import Iterable
from pathlib import Path

from train.records import BadInput, Document
from train.tokens import load_chat, load_tokenizer, load_vocabulary, write_examples, write_labelled, write_shards
from train.tune import TuneConfig


def write_tokens(release: Path, documents: Iterable[Document], folder: Path, split: str, tune: TuneConfig) -> str:
    """Encode `documents` into `folder`, as a text or, where a model was tuned, as examples; returns their digest."""
    if tune.purpose:
        found = write_labelled(
            documents, load_tokenizer(release), load_vocabulary(release), folder, split, lambda _: None
        )
        return str(found["digest"])
    if tune.on:
        chat = load_chat(release)
        if chat is None:
            raise BadInput("tokenizer_config.json holds no chat template, with which examples are read")
        return str(write_examples(documents, chat, folder, split, lambda _: None)["digest"])
    tokenizer, vocabulary = load_tokenizer(release), load_vocabulary(release)
    opens = str(tokenizer.id_to_token(vocabulary.opens))
    return str(write_shards(documents, tokenizer, opens, folder, split, lambda _: None)["digest"])
