"""Documents: sources in, a corpus out, with everything that was left out beside it."""

from train.documents.configs import Kind, Reader, SourceConfig
from train.documents.corpus import DataConfig, Summary, build_corpus, fetch
from train.documents.licences import refusal
from train.documents.registries import fetch_members
from train.documents.rules import ExcludeConfig, RulesConfig
from train.documents.store import (
    SPLITS,
    documents_file,
    largest_group,
    read_documents,
    read_release_documents,
    withdrawn,
    write_documents,
)

__all__ = [
    "SPLITS",
    "DataConfig",
    "ExcludeConfig",
    "Kind",
    "Reader",
    "RulesConfig",
    "SourceConfig",
    "Summary",
    "build_corpus",
    "documents_file",
    "fetch",
    "fetch_members",
    "largest_group",
    "read_documents",
    "read_release_documents",
    "refusal",
    "withdrawn",
    "write_documents",
]
