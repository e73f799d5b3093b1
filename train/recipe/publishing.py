"""The last stage: everything together."""

from pathlib import Path
from typing import Any

from train.batches import order_digest
from train.config import Config, compose, public, resolved, to_yaml
from train.plan import cost_of
from train.recipe.run import Run
from train.records import Json, read_json, write_atomically
from train.release import Ingredients, publish
from train.run import (
    plot_run,
    progress,
    read_metrics,
)


def make_release(run: Run, summary: Json, tokens: Json, trained: Json, results: Json) -> Json:
    """release/: everything together."""
    model = run.model(trained)
    sample = run.speak(model, (run.config.run.prompts or [""])[0], 80)
    _write_samples(run.folder)
    bits = results["bits_per_byte"]
    tokens_per_step = trained["tokens"] // run.config.optim.steps
    title = f"{run.config.run.name}: {bits['total']:.3f} bits per byte, 5-gram {bits['five_gram']:.3f}"
    plot_run(run.folder / "metrics.jsonl", run.folder, title, tokens_per_step, bits["five_gram"])
    values = public(resolved(run.config))
    parts = Ingredients(
        name=run.config.run.name,
        run_folder=run.folder,
        model=model,
        config=run.config.release,
        recipe=values,
        recipe_yaml=to_yaml(values),
        config_digest=run.digest,
        summary=summary,
        tokens=tokens,
        results=results,
        cost=_cost(run, trained, tokens),
        order=_order(run.config, trained["sequences"]),
        choices=_choices(values),
        machine_choices=trained["choices"],
        environment=trained["environment"],
        chain=trained["chain"],
        sample=sample,
        special_tokens=run.vocabulary().hugging_face(),
        lineage=run.lineage(),
        beside=run.beside(),
    )
    with progress("release", 0, "part") as bar:
        record = publish(parts, run.folder / "release", lambda _: bar.update(1))
    return record | {"sample": sample}


def _order(config: Config, sequences: int) -> Json:
    """The order of the data in one word."""
    seed, optim = config.run.seed, config.optim
    made = order_digest(seed, optim.steps, sequences=sequences, sequences_per_step=optim.sequences_per_step)
    return {"digest": made, "sequences": sequences}


def _write_samples(folder: Path) -> None:
    rows = [row for row in read_metrics(folder / "metrics.jsonl") if "samples" in row]
    with write_atomically(folder / "samples.md") as file:
        file.write("# Samples as training went on\n")
        for row in rows:
            file.write(f"\n## Step {row['step']}\n")
            for sample in row["samples"]:
                file.write("\n" + "\n".join(f"    {line}" for line in sample.splitlines()) + "\n")


def _cost(run: Run, trained: Json, tokens: Json) -> Json:
    forecast, epochs = read_json(run.folder / "forecast.json"), trained["tokens"] / tokens["train"]["tokens"]
    told = run.config.release
    return cost_of(trained, run.record.attempts(), forecast, epochs, told.bearable_eur, told.trials)


def _choices(values: Json) -> list[dict[str, Any]]:
    """What carries its reason, and what is not as usual, beside what stands in its place where nothing is chosen.

    The model of a tuning is its base's, which chose it.
    """
    usual = resolved(compose([]))
    names = ("data", "optim", "tune") if "tune" in values else ("data", "model", "optim")
    rooms = [(room, values[room]) for room in names]
    return [
        {"key": room, "value": chosen["name"], "default": usual[room]["name"], "why": chosen["why"]}
        for room, chosen in rooms
        if chosen["why"] or chosen["name"] != usual[room]["name"]
    ]
