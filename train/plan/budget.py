"""Backwards: the best model that a budget affords, as words ready to paste.

Twenty tokens for each parameter (Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022), and a shape
that grows with them: as many layers as the width has 64s, heads of 64, an MLP two and a half times as wide.
"""

from bisect import bisect_right
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

from train.plan.estimate import Estimate, count, size, with_memory
from train.plan.needs import Needs
from train.records import BadInput

_TOKENS_A_PARAMETER = 20
_HEAD = 64
_MOST_HEADS = 128


def afford(needs: Needs, flops: float) -> tuple[Estimate, list[str]]:
    """(what it takes, the overrides) of the largest model that can be trained with so many operations.

    The rule of thumb, 6ND, says about where it is; operations are counted from there.
    Raises BadInput if not even the smallest can.
    """
    if needs.model.name != "llama":
        raise BadInput(f"--budget reckons for model=llama; a {needs.model.name}'s shape is for you to choose")
    sizes = range(2, _MOST_HEADS + 1)
    counted = cache(lambda place: count(_at(needs, sizes[place])[0]))
    place = max(bisect_right(sizes, flops, key=lambda heads: 6 * prod(size(_at(needs, heads)[0]))) - 1, 0)
    while place and counted(place).flops > flops:
        place -= 1
    while place + 1 < len(sizes) and counted(place + 1).flops <= flops:
        place += 1
    if counted(place).flops > flops:
        raise BadInput("--budget: not enough for a model of width 128; a run of a minute is +experiment=smoke")
    shaped, words = _at(needs, sizes[place])
    return with_memory(counted(place), shaped), words


def _at(needs: Needs, heads: int) -> tuple[Needs, list[str]]:
    """A model of so many heads of 64, trained on as many tokens as its size asks for."""
    shape = _shape(heads)
    model, optim = replace(needs.model, **shape), replace(needs.optim, steps=1, warmup_steps=0)
    parameters, tokens = size(replace(needs, model=model, optim=optim))
    steps = max(1, _TOKENS_A_PARAMETER * parameters // tokens)
    trained = replace(needs, model=model, optim=replace(optim, steps=steps))
    return trained, [f"model.{key}={value}" for key, value in shape.items()] + [f"optim.steps={steps}"]


def _shape(heads: int) -> dict[str, Any]:
    return {
        "d_model": heads * _HEAD, "n_layers": heads, "n_heads": heads, "n_kv_heads": heads, "d_head": _HEAD,
        "d_ff": round(2.5 * heads) * _HEAD,
    }  # fmt: skip
