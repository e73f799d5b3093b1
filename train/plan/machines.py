"""What a number of operations, or of seconds, costs: hours, electricity, emissions, money. The table: machines.yaml."""

import os
import re
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from train.records import BadInput, printable

_TABLE = Path(__file__).with_name("machines.yaml")


@dataclass(frozen=True)
class Machine:
    """Of one device: `flops` a second, the `share` of them that a training reaches, `watts`, `eur` an hour."""

    name: str
    devices: int
    flops: float
    share: float
    watts: float
    eur: float

    def seconds(self, flops: float) -> float:
        """For so many operations."""
        return flops / (self.devices * self.flops * self.share)

    def price(self, flops: float) -> "Price":
        """Of so many operations."""
        hours = self.seconds(flops) / 3600
        return _price(self.name, hours, self.devices * self.watts, self.devices * self.eur * hours)

    def affords(self, budget: str) -> float:
        """The operations that a budget buys: "2h", "30min" or "50eur". Raises BadInput if it is none."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(h|min|eur)", budget.strip().lower())
        if not found or not float(found[1]):
            raise BadInput(f"--budget {printable(budget)}: a time or a sum: 2h, 30min, 50eur")
        a_second = 1 / self.seconds(1.0)
        if found[2] == "eur":
            return float(found[1]) / self.price(a_second).eur * a_second
        return float(found[1]) * {"h": 3600, "min": 60}[found[2]] * a_second


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


def machines() -> list[Machine]:
    """The machines that have a name."""
    return [_machine(name, row) for name, row in _table()["machines"].items()]


def find_machine(name: str) -> Machine:
    """By its name in the table, or from a YAML file with the same keys. Raises BadInput if it is neither."""
    rows = _table()["machines"]
    if name in rows:
        return _machine(name, rows[name])
    path = Path(name)
    if not path.is_file():
        raise BadInput(
            f"--machine {printable(name)}: neither a file nor one of {', '.join(rows)} (train/plan/machines.yaml)"
        )
    try:
        return _machine(path.stem, yaml.safe_load(path.read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInput(f"{name}: cannot be read as a machine ({printable(str(error))})") from error


def _machine(name: str, row: Any) -> Machine:
    wanted = [f.name for f in fields(Machine) if f.name != "name"]
    values = [row.get(key) if isinstance(row, dict) else None for key in wanted]
    numbers = [value for value in values if isinstance(value, int | float) and value >= 0]
    if len(numbers) != len(wanted) or not all(numbers[:3]):
        raise BadInput(f"machine {printable(name)}: needs the numbers {', '.join(wanted)}, the first three above 0")
    return Machine(name, *numbers)  # type: ignore[arg-type]


def price_here(seconds: float) -> Price:
    """Of so many seconds on all cores of this machine, by an assumed draw: no meter is read."""
    watts = _table()["here"]["watts_per_core"] * (os.cpu_count() or 1)
    return _price("this machine", seconds / 3600, watts, 0.0)


def _price(machine: str, hours: float, watts: float, rent: float) -> Price:
    grid, kwh = _table()["electricity"], hours * watts / 1000
    return Price(machine, hours, kwh, kwh * grid["kg_co2e_per_kwh"], rent or kwh * grid["eur_per_kwh"])
