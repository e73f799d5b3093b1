"""Which operations exact arithmetic may use. Any other is an error, not a silent hole.

In float64 an operation may add up in any order and call any library's `exp`: its noise is rounded away afterwards. In
float32 only what IEEE 754 fixes is allowed, and nowhere anything that draws from a state.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from train.records import BadInput

# Bytes are moved, chosen or compared, and none is computed: fixed in every type.
_MOVES = frozenset(
    """
    _local_scalar_dense _reshape_alias _to_copy _unsafe_view abs alias amax arange bitwise_and bitwise_not bitwise_or
    cat clamp clone contiguous copy_ detach empty empty_like empty_strided eq expand eye fill_ flatten frexp
    full full_like gather ge gt index index_select isfinite le lift_fresh logical_and logical_not lt masked_fill
    masked_fill_ ne neg new_empty new_empty_strided new_full new_ones new_zeros nonzero ones ones_like permute
    reshape scalar_tensor scatter select select_backward slice slice_backward slice_scatter split squeeze stack
    t transpose tril triu unbind unsqueeze view where zero_ zeros zeros_like
    """.split()  # noqa: SIM905
)
# One IEEE operation for each element.
_FIXED = frozenset({"add", "add_", "div", "div_", "mul", "mul_", "sub", "sub_"})
# In float64: sums in any order, functions of any library; the noise stays far below the rounding.
_TOLERANT = frozenset(
    """
    _foreach_mul_ _foreach_norm _safe_softmax _scaled_dot_product_flash_attention_for_cpu
    _scaled_dot_product_flash_attention_for_cpu_backward _softmax _softmax_backward_data addmm baddbmm bmm cos
    cumsum embedding embedding_dense_backward exp exp_ gelu gelu_backward ldexp linalg_vector_norm log logsumexp mean mm
    native_layer_norm native_layer_norm_backward pow reciprocal relu rsqrt scatter_add silu silu_backward sin
    sqrt sum threshold_backward
    """.split()  # noqa: SIM905
)


class OnlySafe(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which an operation that is not on the list raises BadInput with its name.

    `compiled`: the code within may be compiled, and a compiler may fuse what IEEE 754 fixes only apart: all in float64.
    """

    def __init__(self, *, compiled: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._compiled = compiled

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not self._allowed(name, func.tags, kwargs or {}, _float_types((args, kwargs, made))):
            types_ = ", ".join(sorted(str(t).removeprefix("torch.") for t in _float_types((args, kwargs, made))))
            raise BadInput(
                f"numerics=exact: {name} in {types_ or 'integers'} is not known to give the same bits everywhere "
                "(train/numerics/safe.py lists what is); use numerics=fast, or another setting"
            )
        return made

    def _allowed(self, name: str, tags: Any, kwargs: dict[str, Any], types: set[torch.dtype]) -> bool:
        if torch.Tag.nondeterministic_seeded in tags and name not in _TOLERANT:
            return False  # attention carries the tag for its dropout, which no model here uses
        if not types or name in _MOVES:
            return True
        if types == {torch.float64}:
            return name in _FIXED | _TOLERANT
        return not self._compiled and name in _FIXED and kwargs.get("alpha", 1) == 1 and torch.float64 not in types


def _float_types(values: Any) -> set[torch.dtype]:
    return {leaf.dtype for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and leaf.is_floating_point()}
