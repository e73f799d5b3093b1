"""Tokens: a tokenizer trained on the training documents, and both splits encoded with it."""

from tokenizers import Tokenizer

from train.documents import Message
from train.tokens.chat import TEMPLATE, TEXT_TO_TEXT, Chat, Encoded, chat_template, load_chat
from train.tokens.examples import ExampleStore, write_examples
from train.tokens.labelled import ENDS, INSIDE, STARTS, Marked, Marker, read_labelled, read_labels, write_labelled
from train.tokens.loading import load_tokenizer
from train.tokens.shards import TokenStore, encode_document, encoding, token_dtype, write_shards
from train.tokens.tokenizer import (
    TokenizerConfig,
    TokenizerKind,
    digest_tokenizer,
    save_tokenizer,
    take_over,
    texts_to_learn,
    token_id,
    train_tokenizer,
)
from train.tokens.vocabulary import Vocabulary, load_vocabulary

__all__ = [
    "ENDS",
    "INSIDE",
    "STARTS",
    "TEMPLATE",
    "TEXT_TO_TEXT",
    "Chat",
    "Encoded",
    "ExampleStore",
    "Marked",
    "Marker",
    "Message",
    "TokenStore",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerKind",
    "Vocabulary",
    "chat_template",
    "digest_tokenizer",
    "encode_document",
    "encoding",
    "load_chat",
    "load_tokenizer",
    "load_vocabulary",
    "read_labelled",
    "read_labels",
    "save_tokenizer",
    "take_over",
    "texts_to_learn",
    "token_dtype",
    "token_id",
    "train_tokenizer",
    "write_examples",
    "write_labelled",
    "write_shards",
]
