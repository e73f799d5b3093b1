"""Hugging Face's names and layouts, as data: which of their tensors is made of which of ours, and config.json's fields.

Nothing of theirs is imported here: each family says what it is called there; the room `hugging_face` reads and writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from train.records import BadInput, printable

# Fields that change nothing in what a model computes: names, numbers of special tokens, how it was first initialised.
_ASIDE = {
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache", "_name_or_path",
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id",
    "decoder_start_token_id", "initializer_range", "initializer_factor", "task_specific_params", "id2label", "label2id",
    "num_labels", "output_attentions", "output_hidden_states", "return_dict", "gradient_checkpointing", "problem_type",
    "chunk_size_feed_forward", "classifier_dropout", "auto_map", "is_encoder_decoder", "_commit_hash",
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """One tensor of theirs and those of ours that it is made of; `join` makes it, `split` takes it apart."""

    theirs: str
    ours: tuple[str, ...]
    join: Callable[[Sequence[Tensor]], Tensor] = lambda parts: parts[0]
    split: Callable[[Tensor], Sequence[Tensor]] = lambda whole: [whole]


def same(theirs: str, ours: str) -> Stored:
    """The same tensor under another name."""
    return Stored(theirs, (ours,))


def linear(theirs: str, ours: str, *, bias: bool) -> list[Stored]:
    """A linear map's weight and, where it has one, its bias; a norm's too."""
    return [same(f"{theirs}.{part}", f"{ours}.{part}") for part in (("weight", "bias") if bias else ("weight",))]


def turned(theirs: str, ours: str) -> Stored:
    """A matrix that they store as (in, out)."""
    return Stored(theirs, (ours,), lambda parts: parts[0].T, lambda whole: [whole.T])


def fused(
    theirs: str, ours: Sequence[str], groups: int, heads: Sequence[int], d_head: int, *, turned: bool = False
) -> Stored:
    """Queries, keys and values in one tensor: `groups` times so many `heads` of each, `d_head` rows a head.

    One group of (H, H, H) is [q | k | v]; H groups of (1, 1, 1) are interleaved per head.
    """
    rows = [count * d_head for count in heads]

    def join(parts: Sequence[Tensor]) -> Tensor:
        shaped = [part.reshape(groups, size, -1) for part, size in zip(parts, rows, strict=True)]
        whole = torch.cat(shaped, 1).reshape(groups * sum(rows), *parts[0].shape[1:])
        return whole.T if turned and whole.ndim == 2 else whole

    def split(whole: Tensor) -> Sequence[Tensor]:
        whole = whole.T if turned and whole.ndim == 2 else whole
        parts = whole.reshape(groups, sum(rows), -1).split(rows, 1)  # type: ignore[no-untyped-call]
        return [part.reshape(-1, *whole.shape[1:]) for part in parts]

    return Stored(theirs, tuple(ours), join, split)


class Fields:
    """The fields of a config.json, each read once. What nobody read would be silently ignored: `finish` refuses it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values, self._read = values, set(_ASIDE)

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._values.get(name)
        if value is None:
            if default is None:
                raise BadInput(f"{name}: missing")
            return default
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadInput(f"{name}={printable(repr(value))[:40]}: must be a whole number")
        if not -1 <= value < 2**31:
            raise BadInput(f"{name}={printable(str(value)[:20])}: no such size is possible")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A number."""
        value = self._take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadInput(f"{name}={printable(repr(value))[:40]}: must be a number")
        if not abs(value) < 1e30:  # nor is it NaN
            raise BadInput(f"{name}={printable(str(value)[:20])}: must be a finite number")
        return float(value)

    def yes(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise BadInput(f"{name}={printable(repr(value))}: must be true or false")
        return value

    def one_of(self, name: str, choices: Sequence[Any], default: Any) -> Any:
        """One of a few values; others are not supported here."""
        value = self._take(name, default)
        if value not in choices:
            known = " or ".join(repr(choice) for choice in choices)
            raise BadInput(f"{name}={printable(repr(value))} is not supported here, only {known}")
        return value

    def table(self, name: str) -> "Fields | None":
        """The fields of a table inside the table, if it is there."""
        self._read.add(name)
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            raise BadInput(f"{name}={printable(repr(value))}: must be a table")
        return Fields(value) if value is not None else None

    def aside(self, *names: str) -> None:
        """Fields that concern other uses of the same file: heads for other tasks."""
        self._read.update(names)

    def finish(self) -> None:
        """Raises BadInput for a field that was not read."""
        unread = sorted(name for name in set(self._values) - self._read if self._values[name] is not None)
        if unread:
            raise BadInput(
                f"{', '.join(printable(name) for name in unread[:5])}: not known here, and not to be ignored"
            )
