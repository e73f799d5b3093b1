"""Backwards: the best model that a budget affords, as words ready to paste.

Twenty tokens for each parameter (Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022), and a shape
that grows with them: as many layers as the width has 64s, heads of 64, an MLP two and a half times as wide.
"""

from dataclasses import replace
from typing import Any

from train.plan.estimate import Estimate, Needs, estimate
from train.records import BadInput

_TOKENS_A_PARAMETER = 20
_HEAD = 64
_WIDEST = 8192


def afford(needs: Needs, flops: float) -> tuple[Estimate, list[str]]:
    """(what it takes, the overrides) of the largest model that can be trained with so many operations.

    Raises BadInput if not even the smallest can.
    """
    if needs.model.name != "llama":
        raise BadInput(f"--budget reckons for model=llama; a {needs.model.name}'s shape is for you to choose")
    best: tuple[Estimate, list[str]] | None = None
    width = 2 * _HEAD
    while width <= _WIDEST and (found := _at(needs, width))[0].flops <= flops:
        best, width = found, width + _HEAD
    if best is None:
        raise BadInput("--budget: not enough for a model of width 128; a run of a minute is +experiment=smoke")
    return best


def _at(needs: Needs, width: int) -> tuple[Estimate, list[str]]:
    heads = width // _HEAD
    shape: dict[str, Any] = {
        "d_model": width, "n_layers": max(2, heads), "n_heads": heads, "n_kv_heads": heads, "d_head": _HEAD,
        "d_ff": round(2.5 * heads) * _HEAD,
    }  # fmt: skip
    scaled = replace(needs, model=replace(needs.model, **shape))
    one = estimate(replace(scaled, optim=replace(needs.optim, steps=1, warmup_steps=0)))
    steps = max(1, _TOKENS_A_PARAMETER * one.parameters // one.tokens)
    words = [f"model.{key}={value}" for key, value in shape.items()] + [f"optim.steps={steps}"]
    return estimate(replace(scaled, optim=replace(needs.optim, steps=steps, warmup_steps=0))), words
