"""What one device holds at the fullest moment of a step: the step is gone through with tensors that have no values.

Model, plan, loss and optimizers are those of the training, and torch's own operators say what they keep, so nothing is
reckoned by rule: families, precision, checkpointed activations and every axis count as they are. Other processes are
pretended (torch's `fake` group), as in torchtitan's estimate. Compiled blocks keep less than is counted here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from train.loss import NextToken
from train.model import LanguageModel, build_model, has_dropout
from train.numerics import Choices, local, piece_of
from train.optim import make_optimizers
from train.parallel import AXES, Mesh, Plan, check_axes, check_length, cut_batch, micro_steps, spread_model
from train.plan.ledger import Ledger
from train.plan.needs import Needs
from train.run import Precision


def memory_of(needs: Needs) -> dict[str, int]:
    """Bytes by part, on the axes that are set. Raises BadInput if an axis does not apply to the model."""
    from torch._subclasses import FakeTensorMode

    sizes = {axis: max(1, getattr(needs.parallel, axis)) for axis in AXES}
    with torch.device("meta"):
        model = build_model(needs.model)
    plan = Plan(sizes, "as asked")
    check_axes(model, plan)
    check_length(needs.optim.shortest(needs.model.seq_len), sizes["context"])
    with _pretended(plan) as mesh:
        spread_model(model, needs.parallel, mesh, _choices(needs, "meta"))
        with FakeTensorMode(allow_non_fake_inputs=True), Ledger() as ledger:
            _pretend_values(model)
            _step(needs, model, mesh, ledger)
    return ledger.peak()


def _choices(needs: Needs, device: str) -> Choices:
    return Choices(precision=needs.precision, compile=False, threads=1, device=device)


def _pretend_values(model: LanguageModel) -> None:
    """From torch's meta device to pretended memory: operators then are those of a device, attention's kernel too."""
    pieces = {name: piece_of(parameter) for name, parameter in model.named_parameters()}
    table = model.get_submodule("embedding")
    tied = model.head.weight is table.weight
    model.to_empty(device="cpu")
    if tied:  # torch has made two
        model.head.weight = table.weight  # type: ignore[assignment]
    for name, parameter in model.named_parameters():
        parameter.piece = pieces[name]  # type: ignore[attr-defined]


@contextmanager
def _pretended(plan: Plan) -> Iterator[Mesh]:
    """The mesh of a process whose others are not there; of the parts of a text it has the last, which sees the most."""
    sizes = plan.sizes
    if prod(sizes.values()) == 1:
        yield Mesh(plan)
        return
    from torch.testing._internal.distributed.fake_pg import FakeStore

    rank = (sizes["context"] - 1) * sizes["shard"] * sizes["tensor"]
    distributed.init_process_group("fake", store=FakeStore(), rank=rank, world_size=prod(sizes.values()))
    try:
        yield Mesh(plan)
    finally:
        distributed.destroy_process_group()


def _step(needs: Needs, model: LanguageModel, mesh: Mesh, ledger: Ledger) -> None:
    """A step as the loop takes it when the optimizers have their state."""
    exact = needs.precision == "float64"
    ledger.follow(model)
    optimizers = make_optimizers(needs.optim, model, Precision.DTYPE[needs.precision])
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    state = _remember(optimizers, exact=exact)
    ledger.name("optimizer", state)
    share = mesh.share(needs.optim.sequences_per_step)
    passes = micro_steps(share.stop - share.start, needs.parallel.sequences_per_device)
    if passes == 1:
        model.zero_grad()
    ledger.watch()
    _pass(needs, model, mesh, ledger, (share.stop - share.start) // passes)
    ledger.name("gradients", (parameter.grad for parameter in model.parameters() if parameter.grad is not None))
    ledger.begin("the optimizer's step")
    _remember(optimizers, exact=exact)
    del state


def _pass(needs: Needs, model: LanguageModel, mesh: Mesh, ledger: Ledger, count: int) -> None:
    """Forwards and backwards over so many sequences."""
    dtype = Precision.DTYPE[needs.precision]
    inputs = _inputs(needs, model, count)
    if mesh.sizes["context"] > 1:
        inputs = cut_batch(inputs, model, mesh)
    targets = inputs.pop("targets")
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        hidden = model.hidden(**inputs)
    ledger.begin("loss")
    loss = NextToken()(hidden, model.head, targets, inputs, dtype, False)
    ledger.begin("backward")
    loss.backward()


def _inputs(needs: Needs, model: LanguageModel, count: int) -> dict[str, Any]:
    """What the model takes of so many sequences, and the targets; of the right shapes and types."""
    sequences = replace(needs.sequences(), with_documents=getattr(needs.model, "within_documents", False))
    batch = sequences.batch(np.arange(count), 0, 0)
    arrays = {**batch.inputs, "targets": batch.targets}
    if has_dropout(model):
        arrays["noise"] = batch.keys.view("int64")
    return {name: torch.empty(array.shape, dtype=torch.from_numpy(array[:0]).dtype) for name, array in arrays.items()}


def _remember(optimizers: Mapping[str, torch.optim.Optimizer], *, exact: bool) -> list[Tensor]:
    """What the optimizers keep after a step. The exact ones look at values: of these the state alone is made."""
    if exact:
        of = {"muon": 1, "adamw": 2}
        return [
            torch.empty_like(local(parameter), dtype=torch.float32)
            for name, optimizer in optimizers.items()
            for group in optimizer.param_groups
            for parameter in group["params"] * of[name]
        ]
    for optimizer in optimizers.values():
        optimizer.step()
    states = [state for optimizer in optimizers.values() for state in optimizer.state.values()]
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]
