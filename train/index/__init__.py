"""The index of a training text: a suffix array over its tokens, to find where words stand in it."""

from train.index.suffixes import Index, Place, build_index, open_index

__all__ = ["Index", "Place", "build_index", "open_index"]
