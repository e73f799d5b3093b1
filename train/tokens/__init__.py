"""Tokens: a tokenizer trained on the training documents, and both splits encoded with it."""

from tokenizers import Tokenizer

from train.tokens.chat import chat_template, encode_chat, render_chat
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
    "TokenStore",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerKind",
    "Vocabulary",
    "chat_template",
    "digest_tokenizer",
    "encode_chat",
    "encode_document",
    "load_tokenizer",
    "load_vocabulary",
    "render_chat",
    "save_tokenizer",
    "token_dtype",
    "token_id",
    "train_tokenizer",
    "write_shards",
]
