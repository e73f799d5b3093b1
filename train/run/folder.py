"""A run's folder: which config it belongs to, which stages are done, and what they have cost so far.

done/STAGE.json   what a stage was made from (a digest) and what came out; written when its outputs are complete
config.json       the recipe's part of the config: a folder with weights never changes it
attempts.json     starts, seconds by stage (of all attempts, but for what a kill of the training lost since its last
                  checkpoint), peak memory
"""

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from train.numerics import peak_memory_bytes
from train.records import BadInput, Json, digest_json, read_json, write_json
from train.run.checkpoint import list_checkpoints
from train.run.metrics import say

_INTO_THE_WEIGHTS = ("documents", "tokens", "training")
_MADE_FROM = {"documents": ("data",), "tokens": ("data", "tokenizer", "model")}  # the parts of a recipe; of others, all


class RunFolder:
    """The bookkeeping of one run. The caller holds its lock."""

    def __init__(self, path: Path, recipe: Json) -> None:
        """Raises BadInput if the folder holds weights of another recipe, or is a model's."""
        self.path, self._recipe = path, recipe
        record = path / "config.json"
        before = read_json(record) if record.is_file() else None
        if isinstance(before, dict) and "model_type" in before:
            raise BadInput(f"{path}: holds a model, not a run; nothing was changed. Choose another run.name")
        self._tidy()
        if before is not None:
            self._keep_or_begin_anew(before, recipe)
        write_json(record, recipe)
        attempts = self.attempts()
        if not (path / "done" / "release.json").is_file():
            write_json(path / "attempts.json", attempts | {"starts": attempts["starts"] + 1})

    def attempts(self) -> dict[str, Any]:
        """What the run has cost so far: {"starts", "seconds": {stage: s}, "peak_memory_gb"}."""
        record = self.path / "attempts.json"
        nothing = {"starts": 0, "seconds": {}, "peak_memory_gb": 0.0}
        return nothing | dict(read_json(record)) if record.is_file() else nothing

    def stage(self, name: str, inputs: Json, last: str, make: Callable[[], Json]) -> dict[str, Any]:
        """What a stage found out: as recorded, or made now and then recorded.

        `last` is the file that the stage writes last. Where somebody has deleted it, the stage is done again.
        """
        record = self.path / "done" / f"{name}.json"
        key = digest_json({"config": {part: self._recipe[part] for part in self._made_from(name)}, **inputs})
        if record.is_file():
            done = read_json(record)
            if not isinstance(done, dict) or not {"inputs", "outputs"} <= set(done):
                raise BadInput(f"{record}: damaged; delete it, and the same command does the stage {name} again")
            if done["inputs"] == key and (self.path / last).is_file():
                say(f"{name:<10} done")
                return dict(done["outputs"])
            if done["inputs"] != key and name in _INTO_THE_WEIGHTS:
                self._refuse_if_trained(f"its {name} were made from other inputs")
        start = time.perf_counter()
        outputs: dict[str, Any] = {}
        try:
            outputs = dict(make())
        finally:
            seconds = time.perf_counter() - start
            self._count_cost(name, seconds, outputs.get("seconds", 0.0))
        write_json(record, {"inputs": key, "outputs": outputs})
        say(f"{name:<10} {seconds:.0f} s")
        return outputs

    def forget(self, name: str) -> None:
        """Let a stage be done again."""
        (self.path / "done" / f"{name}.json").unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Take away what a killed run left half-written."""
        for path in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)  # one may lie within another

    def _keep_or_begin_anew(self, before: Json, now: Json) -> None:
        """A folder with weights belongs to its recipe; one in which nothing was trained yet may change its mind."""
        names = differences(before, now)
        if names:
            self._refuse_if_trained(f"made by another config (it differs in {', '.join(names[:5])})")
            (self.path / "forecast.json").unlink(missing_ok=True)  # of what is no longer to be trained
            changed = {name.split(".")[0] for name in names}
            for stage in _MADE_FROM:
                if changed.intersection(self._made_from(stage)):
                    self.forget(stage)
                    shutil.rmtree(self.path / stage, ignore_errors=True)

    def _made_from(self, stage: str) -> Iterable[str]:
        """The parts of the recipe that a stage's outputs follow from; a tuning's follow from its base, so from all."""
        return self._recipe if "tune" in self._recipe else _MADE_FROM.get(stage, self._recipe)

    def _refuse_if_trained(self, why: str) -> None:
        if list_checkpoints(self.path / "checkpoints"):
            raise BadInput(f"{self.path}: {why}; nothing was changed. Choose another run.name, or delete the folder")

    def _count_cost(self, name: str, seconds: float, known: float) -> None:
        """`seconds` more; or `known` in all, as a training counts through kills."""
        attempts = self.attempts()
        attempts["seconds"][name] = round(max(attempts["seconds"].get(name, 0.0) + seconds, known), 1)
        attempts["peak_memory_gb"] = max(attempts["peak_memory_gb"], round(peak_memory_bytes() / 1e9, 2))
        write_json(self.path / "attempts.json", attempts)


def differences(a: Any, b: Any, key: str = "") -> list[str]:
    """The keys, with dots, in which two nested dictionaries differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted(set(a) | set(b))
        return [found for name in names for found in differences(a.get(name), b.get(name), f"{key}.{name}".strip("."))]
    return [] if a == b else [key]
