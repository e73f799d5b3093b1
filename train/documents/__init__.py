"""Documents: sources in, a corpus out, with everything that was left out beside it."""

from train.documents.corpus import SPLITS, DataConfig, build_corpus, fetch
from train.documents.rules import ExcludeConfig, RulesConfig
from train.documents.sources import Kind, SourceConfig
from train.documents.store import documents_file, read_documents

__all__ = [
    "SPLITS",
    "DataConfig",
    "ExcludeConfig",
    "Kind",
    "RulesConfig",
    "SourceConfig",
    "build_corpus",
    "documents_file",
    "fetch",
    "read_documents",
]
