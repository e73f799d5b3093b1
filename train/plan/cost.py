"""What a run cost, beside what was forecast, and what it would cost again on machines that have a name."""

from typing import Any

from train.plan.machines import machines, price_here
from train.records import Json


def cost_of(
    trained: Json, attempts: Json, forecast: Json, epochs: float, bearable_eur: float, trials: str
) -> dict[str, Any]:
    """The `cost` of release.json. Failed and resumed attempts are in the seconds and in the number of starts; `trials`
    says what other runs cost, as far as the publisher tells.
    """
    seconds = sum(attempts["seconds"].values())
    outcome = {
        "seconds": round(seconds, 1),
        "seconds_by_stage": attempts["seconds"],
        "training_seconds": trained["seconds"],
        "tokens": trained["tokens"],
        "epochs": round(epochs, 2),
        "flops": trained["flops"],
        "peak_memory_gb": attempts["peak_memory_gb"],
        "energy": "no meter was read: reckoned from the seconds and an assumed draw (train/plan/machines.yaml)",
        **price_here(seconds).record(),
    }
    again = {
        "machines": [machine.price(trained["flops"]).record() for machine in machines()],
        "bearable_eur": bearable_eur,
    }
    return {"forecast": forecast, "outcome": outcome, "attempts": attempts["starts"], "trials": trials, "again": again}
