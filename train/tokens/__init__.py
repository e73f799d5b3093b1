"""Tokens: a tokenizer trained on the training documents, and both splits encoded with it."""

from tokenizers import Tokenizer

from train.tokens.chat import Chat, Message, load_chat
from train.tokens.shards import TokenStore, encode_document, token_dtype, write_shards
from train.tokens.tokenizer import (
    TokenizerConfig,
    TokenizerKind,
    digest_tokenizer,
    load_tokenizer,
    save_tokenizer,
    token_id,
    train_tokenizer,
)
from train.tokens.vocabulary import Vocabulary, load_vocabulary

__all__ = [
    "Chat",
    "Message",
    "TokenStore",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerKind",
    "Vocabulary",
    "digest_tokenizer",
    "encode_document",
    "load_chat",
    "load_tokenizer",
    "load_vocabulary",
    "save_tokenizer",
    "token_dtype",
    "token_id",
    "train_tokenizer",
    "write_shards",
]
