"""A plan applied to a model from outside, in order: tensor, context, float8, checkpointed activations, compilation,
FSDP2.

On one device with nothing to do the plan is empty and costs nothing. More axes join this list, not the models.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from train.model import LanguageModel, number_dropouts
from train.numerics import Choices, Piece, widen
from train.parallel.compiler import prepare_compiler
from train.parallel.configs import ActivationCheckpointing, ParallelConfig, Plan
from train.parallel.context import check_context, cut_context
from train.parallel.float8 import in_full, to_float8
from train.parallel.mesh import Mesh
from train.records import BadInput


def spread_model(model: LanguageModel, config: ParallelConfig, mesh: Mesh, choices: Choices) -> None:
    """Bring a model onto the processes of `mesh`, each with its pieces. Its values are then still to be made.

    A model on torch's meta device takes memory here for the first time, and for its pieces alone. Raises BadInput where
    an axis does not apply to the model, or not to its precision.
    """
    low = choices.precision == "float8"
    check_axes(model, mesh.plan, low=low)
    model.to(torch.float64 if choices.exact else torch.float32)  # the master weights
    pieces: dict[str, Piece] = {}
    if mesh.sizes["tensor"] > 1:
        from train.parallel.tensor import cut_tensors

        pieces = cut_tensors(model, mesh)
    if mesh.sizes["context"] > 1:
        cut_context(model, mesh)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    if not model.head.weight.is_meta:
        model.to(choices.device)
    if low:
        to_float8(model.blocks, emulate=choices.device != "cuda")
    apply_plan(model.blocks, config, compiling=choices.compile)
    if mesh.sizes["shard"] > 1:
        _shard(model, mesh, choices)
    _materialise(model, choices.device)
    if mesh.count > 1:
        for name, parameter in model.named_parameters():
            before = pieces.get(name) or Piece(shapes[name], tuple(slice(0, size) for size in shapes[name]))
            parameter.piece = _piece(before, mesh)  # type: ignore[attr-defined]


def check_axes(model: LanguageModel, plan: Plan, *, low: bool = False) -> None:
    """Raises BadInput if an axis of the plan does not apply to the model, or not in float8 (`low`)."""
    if low and plan.sizes["tensor"] > 1:
        raise BadInput("run.precision=float8: does not go along parallel.tensor, as yet; take bfloat16")
    if plan.sizes["tensor"] > 1:
        from train.parallel.tensor import check_part

        for module in model.modules():
            check_part(module, plan.sizes["tensor"])
    if plan.sizes["context"] > 1:
        check_context(model)


def share_of_weights(model: LanguageModel, config: ParallelConfig) -> float:
    """The share of the parameters that one process holds, on the axes that are set."""
    whole, tensor, cut = sum(p.numel() for p in model.parameters()), max(1, config.tensor), 0
    if tensor > 1:
        from train.parallel.tensor import count_cut

        cut = count_cut(model, tensor)
    return (whole - cut + cut / tensor) / whole / max(1, config.shard)


def _materialise(model: LanguageModel, device: str) -> None:
    if not model.head.weight.is_meta:
        return
    tied = model.head.weight is next(p for name, p in model.named_parameters() if name.startswith("embedding."))
    model.to_empty(device=device)
    if tied:  # torch has made two
        model.head.weight = model.get_submodule("embedding").weight  # type: ignore[assignment]
    number_dropouts(model)


def _piece(before: Piece, mesh: Mesh) -> Piece:
    """What is left of a piece when its first dim has been shared out as FSDP2 does it: like torch.chunk."""
    first = all(mesh.number(axis) == 0 for axis in ("replicate", "context"))
    first = first and (bool(before.groups) or mesh.number("tensor") == 0)
    count = mesh.sizes["shard"]
    if count == 1:
        return Piece(before.whole, before.spans, before.groups, first)
    rows = before.spans[0]
    each = -(-(rows.stop - rows.start) // count)
    start = min(rows.stop, rows.start + mesh.number("shard") * each)
    span = slice(start, min(rows.stop, start + each))
    return Piece(before.whole, (span, *before.spans[1:]), (*before.groups, mesh.group("shard")), first)


def _shard(model: LanguageModel, mesh: Mesh, choices: Choices) -> None:
    """FSDP2 (Zhao et al., 2023): each block's weights are brought together when it is their turn, in the precision of
    the products, and its gradients are added up in float32. Embedding, last norm and head stay as they are."""
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    low = choices.mixed
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if low else None,
        reduce_dtype=torch.float32 if low else None,
        cast_forward_inputs=False,  # autocast does it where it is due
    )
    for block in model.blocks:
        if low:
            _norms_in_float32(block)
        fully_shard(block, mesh=mesh.grid["shard"], mp_policy=policy)
    fully_shard(model, mesh=mesh.grid["shard"], mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
    for method in ("encode", "decode") if hasattr(model, "decode") else ("hidden",):
        register_fsdp_forward_method(model, method)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)  # sums, as everywhere here
            module.set_force_sum_reduction_for_comms(True)


def _norms_in_float32(block: nn.Module) -> None:
    """A norm's weights come in the products' precision, and are to be used in that of its input.

    A norm becomes one of another class: a forward of its own would have every block compiled anew.
    """
    for module in block.modules():
        if isinstance(module, nn.LayerNorm):
            module.__class__ = _WideLayerNorm
        elif isinstance(module, nn.RMSNorm):
            module.__class__ = _WideRMSNorm


class _WideLayerNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.normalized_shape, widen(self.weight), widen(self.bias), self.eps)


class _WideRMSNorm(nn.RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.normalized_shape, widen(self.weight), self.eps)


@contextmanager
def at_rest(model: nn.Module, choices: Choices) -> Iterator[None]:
    """A use of the model without a backward pass, in float32; where FSDP2 brings weights together in bfloat16, in that.

    What has been brought together is let go afterwards.
    """
    sharded: list[Any] = [module for module in model.modules() if hasattr(module, "reshard")]
    low = bool(sharded) and choices.mixed
    try:
        with torch.autocast(choices.device, torch.bfloat16, enabled=low), in_full(model):
            yield
    finally:
        for module in sharded:
            module.reshard()


def apply_plan(blocks: Iterable[nn.Module], config: ParallelConfig, *, compiling: bool) -> None:
    """Checkpoint the activations of each block, and compile it. Equal blocks are compiled once."""
    if compiling:
        prepare_compiler()
    for block in blocks:
        if config.activation_checkpointing is not ActivationCheckpointing.none:
            _checkpoint_activations(block, config.activation_checkpointing)
        if compiling:
            block.compile(dynamic=False)


def _checkpoint_activations(block: nn.Module, kind: ActivationCheckpointing) -> None:
    forward, ops = block.forward, torch.ops.aten
    products: list[Any] = [
        ops.mm.default,
        ops.addmm.default,
        ops.bmm.default,
        ops.baddbmm.default,
        ops._scaled_mm.default,
    ]
    kept: dict[str, Any] = {}
    if kind is ActivationCheckpointing.selective:
        kept["context_fn"] = partial(create_selective_checkpoint_contexts, products)

    def checkpointed(*args: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **kept)

    block.forward = checkpointed


def eagerly() -> AbstractContextManager[Any]:
    """Run compiled blocks as they are written: for evaluation and samples, whose shapes vary."""
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance
