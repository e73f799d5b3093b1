"""Optimizers: Muon's directions, AdamW beside torch's own, every parameter in one group, schedules."""

import pytest
import torch

from train.config import compose
from train.model import build_model
from train.optim import (
    Muon,
    OptimConfig,
    OptimizerName,
    Schedule,
    make_optimizers,
    muon,
    orthogonalise,
    schedule_factor,
)
from train.records import BadInput


def config(**more: object) -> OptimConfig:
    given = {"name": OptimizerName.muon, "steps": 100, "sequences_per_step": 4, "lr": 0.02, "adamw_lr": 0.003}
    return OptimConfig(**{**given, **more})


@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (40, 16)])
@pytest.mark.parametrize("steps", [3, 5, 7])
def test_singular_values_come_close_to_one(shape: tuple[int, int], steps: int) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(4, *shape)
    moved = orthogonalise(matrices, steps)
    assert moved.shape == matrices.shape
    values = torch.linalg.svdvals(moved)
    low, high = {3: (0.05, 1.9), 5: (0.6, 1.3), 7: (0.8, 1.2)}[steps]
    assert values.max() < high
    if shape[0] != shape[1]:
        assert values.min() > low
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    likeness = torch.nn.functional.cosine_similarity(moved.flatten(1), (u @ v).flatten(1))
    assert likeness.min() > (0.85 if steps == 3 else 0.97)


def test_stacking_changes_nothing() -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(8, 12) for _ in range(3)]
    together = [torch.nn.Parameter(torch.ones(8, 12)) for _ in gradients]
    alone = [torch.nn.Parameter(torch.ones(8, 12)) for _ in gradients]
    optimizers = [Muon(together, 0.1, 0.9, 5, 0.1, torch.float32)]
    optimizers += [Muon([p], 0.1, 0.9, 5, 0.1, torch.float32) for p in alone]
    for _ in range(3):
        for a, b, g in zip(together, alone, gradients, strict=True):
            a.grad, b.grad = g.clone(), g.clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b)


def test_large_matrices_are_not_stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "_TOGETHER", 3 * 8 * 16)
    parameters = [torch.nn.Parameter(torch.randn(8, 16)) for _ in range(7)]
    for parameter in parameters:
        parameter.grad = torch.randn(8, 16)
    found = muon.by_shape(parameters)
    assert [len(part) for part in found] == [3, 3, 1]
    assert [id(p) for part in found for p in part] == [id(p) for p in parameters]
    monkeypatch.setattr(muon, "_TOGETHER", 1)
    assert len(muon.by_shape(parameters)) == 7


def test_every_parameter_has_one_group() -> None:
    model = build_model(compose(["+experiment=smoke"]).model)
    for name in OptimizerName:
        optimizers = make_optimizers(config(name=name), model, torch.float32)
        held = [id(p) for o in optimizers.values() for g in o.param_groups for p in g["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters())
    muon = make_optimizers(config(), model, torch.float32)["muon"]
    inside = {id(p) for n, p in model.blocks.named_parameters() if p.ndim == 2}
    assert {id(p) for g in muon.param_groups for p in g["params"]} == inside


def test_schedules() -> None:
    wsd = config(schedule=Schedule.wsd, warmup_steps=9, decay_share=0.5)
    factors = [schedule_factor(wsd, step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:51] == [1.0] * 42
    assert factors[75] == pytest.approx(0.5)
    assert 0 < factors[99] == pytest.approx(0.02)
    cosine = config(schedule=Schedule.cosine, final_factor=0.1)
    assert schedule_factor(cosine, 0) == 1.0
    assert schedule_factor(cosine, 50) == pytest.approx(0.55)
    assert schedule_factor(cosine, 100) == pytest.approx(0.1)
    assert {schedule_factor(config(schedule=Schedule.constant), step) for step in range(100)} == {1.0}


@pytest.mark.parametrize("change", [{"steps": 0}, {"lr": -1.0}, {"decay_share": 1.5}, {"warmup_steps": 101}])
def test_bad_values(change: dict) -> None:
    with pytest.raises(BadInput):
        config(**change)
