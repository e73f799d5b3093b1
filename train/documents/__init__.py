"""Documents: sources in, a corpus out, with everything that was left out beside it."""

from train.documents.configs import Kind, Reader, SourceConfig
from train.documents.corpus import DataConfig, Summary, build_corpus, fetch, prepare_part
from train.documents.examples import Example, Message, example_text, parse_example, words_of
from train.documents.labelled import Classified, Extracted, Labelled, Tagged, parse_labelled
from train.documents.licences import refusal
from train.documents.make import is_validation
from train.documents.parts import Share, shared_out
from train.documents.registries import fetch_members
from train.documents.rules import ExcludeConfig, Rule, RulesConfig
from train.documents.store import (
    SPLITS,
    documents_file,
    find_document,
    read_documents,
    read_release_documents,
    withdrawn,
    write_documents,
)

__all__ = [
    "SPLITS",
    "Classified",
    "DataConfig",
    "Example",
    "ExcludeConfig",
    "Extracted",
    "Kind",
    "Labelled",
    "Message",
    "Reader",
    "Rule",
    "RulesConfig",
    "Share",
    "SourceConfig",
    "Summary",
    "Tagged",
    "build_corpus",
    "documents_file",
    "example_text",
    "fetch",
    "fetch_members",
    "find_document",
    "is_validation",
    "parse_example",
    "parse_labelled",
    "prepare_part",
    "read_documents",
    "read_release_documents",
    "refusal",
    "shared_out",
    "withdrawn",
    "words_of",
    "write_documents",
]
