"""The release: data, recipe and weights published together, with the digests that hold them together."""

from train.release.bundle import Ingredients, publish
from train.release.cards import attribution, data_card, describe
from train.release.configs import ReleaseConfig
from train.release.manifest import (
    BUILD,
    RECORD,
    SIGNED,
    SUMS,
    digest_from_sums,
    list_files,
    read_release,
    root_digest,
    unlike_schema,
)
from train.release.scores import beside_tasks
from train.release.source import code_digest, read_source

__all__ = [
    "BUILD", "RECORD", "SIGNED", "SUMS", "Ingredients", "ReleaseConfig", "attribution", "beside_tasks", "code_digest",
    "data_card", "describe", "digest_from_sums", "list_files", "publish", "read_release", "read_source",
    "root_digest", "unlike_schema",
]  # fmt: skip
