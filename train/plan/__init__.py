"""The plan: what a run costs, said before it is spent; and what a budget affords."""

from train.plan.budget import afford
from train.plan.cost import cost_of
from train.plan.estimate import Estimate, estimate
from train.plan.here import TooLarge, machine_here
from train.plan.machines import Machine, Price, find_machine, machines, price_here
from train.plan.memory import memory_of
from train.plan.needs import Needs
from train.plan.table import render

__all__ = [
    "Estimate", "Machine", "Needs", "Price", "TooLarge", "afford", "cost_of", "estimate", "find_machine",
    "machine_here", "machines", "memory_of", "price_here", "render",
]  # fmt: skip
