"""Who holds how much memory, event by event: every tensor that is made or freed while the ledger is open.

It looks at torch's operators from outside, so it counts pretended tensors (FakeTensorMode) as well as real ones.
"""

import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from train.model import MLP, Attention, GatedMLP, RelativeAttention

WEIGHTS, LOW, GATHERED = "weights", "weights in bfloat16", "gathered weights"
_PARTS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((Attention, RelativeAttention), "attention"),
    ((MLP, GatedMLP), "MLP"),
    ((nn.LayerNorm, nn.RMSNorm), "norms"),
    ((nn.Embedding,), "embeddings"),
)


class Ledger(TorchDispatchMode):
    """Bytes of storages, each under the part that was at work when it was made, or the name that it was given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._parts = ["elsewhere"]
        self._number: dict[int, int] = {}  # of the storages that are alive, by address
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._events: list[tuple[int, int]] = []  # (which storage, bytes more)
        self._watched = 0
        self._resize = patch.object(torch.UntypedStorage, "resize_", self._resized(torch.UntypedStorage.resize_))

    def __enter__(self) -> Self:
        self._resize.start()
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._resize.stop()

    def follow(self, model: nn.Module) -> None:
        """What a part of `model` makes in its forward pass goes under the part's name; its parameters are weights."""
        for module in model.modules():
            for kinds, part in _PARTS:
                if isinstance(module, kinds):
                    module.register_forward_pre_hook(lambda *_, part=part: self.begin(part))
                    module.register_forward_hook(lambda *_: self.end(), always_call=True)
        self.name(WEIGHTS, model.parameters())

    def begin(self, part: str) -> None:
        """What is made from here on goes under this name."""
        self._parts.append(part)

    def end(self) -> None:
        """Back to the name before."""
        self._parts.pop()

    def name(self, name: str, tensors: Iterable[Tensor]) -> None:
        """These are `name`, whoever made them."""
        for tensor in tensors:
            self._names[self._note(tensor, name)] = name

    def watch(self) -> None:
        """The fullest moment is looked for from here on."""
        self._watched = len(self._events)

    def peak(self) -> dict[str, int]:
        """Bytes by name at the moment at which they were most."""
        total = most = until = 0
        for place, (_, more) in enumerate(self._events, start=1):
            total += more
            if total > most and place >= self._watched:
                most, until = total, place
        held: Counter[str] = Counter()
        for number, more in self._events[:until]:
            held[self._names[number]] += more
        return {name: size for name, size in held.items() if size}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = LOW if func is torch.ops.aten._to_copy.default and self._is_weight(args[0]) else self._parts[-1]
        for made in tree_leaves(out):
            if isinstance(made, Tensor):
                self._note(made, name)
        return out

    def _is_weight(self, tensor: Tensor) -> bool:
        number = self._number.get(_storage(tensor)._cdata)
        return number is not None and self._names[number] in {WEIGHTS, GATHERED}

    def _note(self, tensor: Tensor, name: str) -> int:
        storage = _storage(tensor)
        key = storage._cdata
        if key not in self._number:
            number = self._number[key] = len(self._names)
            self._names.append(name)
            self._sizes.append(0)
            self._change(number, storage.nbytes())
            weakref.finalize(storage, self._free, key).atexit = False
        return self._number[key]

    def _change(self, number: int, size: int) -> None:
        self._events.append((number, size - self._sizes[number]))
        self._sizes[number] = size

    def _free(self, key: int) -> None:
        self._change(self._number.pop(key), 0)

    def _resized(self, resize: Any) -> Any:
        """FSDP2 frees what it gathered by making its storage empty, and fills the same one again."""

        def resized(storage: torch.UntypedStorage, size: int) -> Any:
            done = resize(storage, size)
            if (number := self._number.get(storage._cdata)) is not None:
                self._names[number] = GATHERED
                self._change(number, size)
            return done

        return resized


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    """Of a DTensor, that of the piece which is here."""
    return getattr(tensor, "_local_tensor", tensor).untyped_storage()
