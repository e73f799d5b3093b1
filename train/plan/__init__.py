"""The plan: what a run costs, said before it is spent."""

from train.plan.cost import cost_of
from train.plan.machines import Price, machines, price_here, price_on

__all__ = ["Price", "cost_of", "machines", "price_here", "price_on"]
