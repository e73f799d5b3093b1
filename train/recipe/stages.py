"""The order of the stages."""

from pathlib import Path
from typing import Any

from train.config import Config, resolved
from train.documents import fetch
from train.evaluate import prepare_tasks
from train.parallel import open_replicas
from train.recipe.corpus import files_of
from train.recipe.labelled import LabelledRun
from train.recipe.publishing import make_release
from train.recipe.run import Run
from train.recipe.tuned import TunedRun
from train.records import Json, digest_json
from train.run import lock_folder
from train.training import plan_of


def fetch_for(config: Config) -> list[Path]:
    """Bring here what a run will need from the network."""
    return [*fetch(config.data), *prepare_tasks(config.evaluate.tasks, Path(config.data.cache))]


def run_recipe(config: Config) -> dict[str, Any]:
    """Run what is not yet done; returns the release's release.json."""
    folder = Path(config.run.folder) / config.run.name
    with open_replicas(config.run.hang_after) as replicas, lock_folder(folder):
        kind = LabelledRun if config.tune.purpose else TunedRun if config.tune.on else Run
        run = kind(config, folder, replicas)
        plan_of(config, replicas, run.machine.device)  # what cannot be shared out is known before anything is done
        stage = run.record.stage
        summary = stage("documents", files_of(config.data), "documents/summary.json", run.make_documents)
        inputs: Json = {"documents": summary["documents_digest"]}
        tokens = stage("tokens", inputs, "tokens/validation-index.json", lambda: run.make_tokens(summary))
        inputs = {"tokens": tokens["train"]["digest"]}
        trained = stage("training", inputs, run.last_checkpoint, run.make_weights)
        inputs = {"weights": trained["weights_digest"], "evaluate": resolved(config.evaluate)}
        if config.tune.task:
            inputs["task"] = config.tune.task
        results = stage("evaluation", inputs, "done/evaluation.json", lambda: run.make_results(trained))
        if config.release.seeds > 1:
            inputs["seeds"] = config.release.seeds
            results |= stage("seeds", inputs, "done/seeds.json", lambda: run.make_bounds(results))
        inputs = {"results": digest_json(results), "release": resolved(config.release), "data": config.data.warning}
        return stage(
            "release", inputs, "release/release.json", lambda: make_release(run, summary, tokens, trained, results)
        )
