"""What a number of operations, or of seconds, costs: hours, electricity, emissions, money. The table: machines.yaml."""

import os
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from train.records import BadInput, printable

_TABLE = Path(__file__).with_name("machines.yaml")


@dataclass(frozen=True)
class Price:
    """What a run takes on a machine. `eur`: the machine's rent, or its electricity where it is one's own."""

    machine: str
    hours: float
    kwh: float
    kg_co2e: float
    eur: float

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(self).items()}


@cache
def _table() -> dict[str, Any]:
    return dict(yaml.safe_load(_TABLE.read_text("utf-8")))


def machines() -> list[str]:
    """The machines that have a name."""
    return list(_table()["machines"])


def price_on(machine: str, flops: float) -> Price:
    """Of so many operations on a named machine. Raises BadInput if there is none of that name."""
    rows = _table()["machines"]
    if machine not in rows:
        raise BadInput(
            f"--machine {printable(machine)}: known are {', '.join(rows)}; the table is train/plan/machines.yaml"
        )
    row = rows[machine]
    hours = flops / (row["devices"] * row["flops"] * row["share"]) / 3600
    rent = row["devices"] * row["eur"] * hours
    return _price(machine, hours, row["devices"] * row["watts"], rent)


def price_here(seconds: float) -> Price:
    """Of so many seconds on all cores of this machine, by an assumed draw: no meter is read."""
    watts = _table()["here"]["watts_per_core"] * (os.cpu_count() or 1)
    return _price("this machine", seconds / 3600, watts, 0.0)


def _price(machine: str, hours: float, watts: float, rent: float) -> Price:
    grid, kwh = _table()["electricity"], hours * watts / 1000
    return Price(machine, hours, kwh, kwh * grid["kg_co2e_per_kwh"], rent or kwh * grid["eur_per_kwh"])
