"""The plan as a person reads it."""

from collections.abc import Sequence

from train.plan.estimate import Estimate
from train.plan.machines import Machine

_SHOWN = 0.01  # of the whole: smaller parts are in the JSON alone


def render(found: Estimate, asked: Sequence[Machine], words: Sequence[str]) -> str:
    """Parameters, tokens, operations, memory by part; hours and money on each machine; overrides to paste, if any."""
    total = sum(found.memory.values())
    parts = sorted(((size, part) for part, size in found.memory.items() if size >= _SHOWN * total), reverse=True)
    lines = [
        f"parameters  {found.parameters:,}",
        f"tokens      {found.tokens:,}",
        f"operations  {found.flops:.3g}, counted; 6ND would say {found.six_nd:.3g}",
        f"memory      {total / 1e9:.2f} GB a device: " + ", ".join(f"{part} {size / 1e9:.2f}" for size, part in parts),
        f"            and {found.copied / 1e9:.2f} GB of the host's while a checkpoint is written",
        "",
        f"{'machine':24} {'hours':>10} {'kWh':>10} {'kg CO2e':>10} {'euros':>10}",
    ]
    for machine in asked:
        price = machine.price(found.flops)
        lines.append(f"{machine.name:24} {price.hours:10.3g} {price.kwh:10.3g} {price.kg_co2e:10.3g} {price.eur:10.3g}")
    lines += ["", "Training alone. Speeds of machines with a name, their draw and prices: train/plan/machines.yaml."]
    if words:
        lines += ["", "To paste (a corpus with fewer tokens is read several times):", f"  {' '.join(words)}"]
    return "\n".join(lines)
