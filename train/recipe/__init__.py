"""The stages in order: documents -> tokens -> training -> evaluation -> release.

A stage writes its outputs whole and then a line in `done/`: the digest of what it was made from, and what came out.
The same command again skips what is done and goes on with what was interrupted. A folder with weights that were
made from something else is never overwritten.
"""

from train.recipe.corpus import prepare
from train.recipe.run import Run
from train.recipe.stages import fetch_for, run_recipe
from train.run import Stopped

__all__ = ["Run", "Stopped", "fetch_for", "prepare", "run_recipe"]
