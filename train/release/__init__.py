"""The release: data, recipe and weights published together, with the digests that hold them together."""

from train.release.bundle import Ingredients, publish
from train.release.cards import describe
from train.release.configs import ReleaseConfig
from train.release.manifest import list_files, read_release, root_digest

__all__ = ["Ingredients", "ReleaseConfig", "describe", "list_files", "publish", "read_release", "root_digest"]
