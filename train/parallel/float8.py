"""Products in float8: the linear maps of the blocks are torchao's, and keep their parameters and names.

Of torchao's recipes the default, which it calls the fastest: inputs, weights and gradients are scaled as they come,
each tensor by one number, to the largest that float8 has. Values are e4m3, gradients e5m2 (Micikevicius et al., "FP8
Formats for Deep Learning", 2022). Embedding, head and all else stay as with bfloat16.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from train.records import BadInput

_MULTIPLE = 16  # tensor cores take no other widths


def to_float8(blocks: Iterable[nn.Module], *, emulate: bool) -> None:
    """Convert the plain linear maps whose widths allow it. `emulate`: the same numbers by float32 products, for tests.

    Raises BadInput if there are none.
    """
    torchao, found = _torchao(), list(blocks)
    if not any(_allows(module) for block in found for module in block.modules()):
        raise BadInput(
            f"run.precision=float8: no plain linear map of the blocks has widths that are multiples of {_MULTIPLE}; "
            "take run.precision=bfloat16"
        )
    # padded: the tokens of a pass, over which a weight's gradient is summed, may be any number
    config = torchao.Float8LinearConfig(pad_inner_dim=True, emulate=emulate)
    for block in found:
        torchao.convert_to_float8_training(block, module_filter_fn=_allows, config=config)


def _allows(module: nn.Module, name: str = "") -> bool:
    return type(module) is nn.Linear and not any(width % _MULTIPLE for width in module.weight.shape)


@contextmanager
def in_full(model: nn.Module) -> Iterator[None]:
    """Use the maps as plain ones, as a release will be."""
    converted = {module: type(module) for module in model.modules() if type(module).__module__.startswith("torchao.")}
    for module in converted:
        module.__class__ = nn.Linear
    try:
        yield
    finally:
        for module, kind in converted.items():
            module.__class__ = kind


def _torchao() -> Any:
    """Its door. What it says on coming in is of kernels that are not used here."""
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import torchao.float8

    return torchao.float8
