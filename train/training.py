"""The training of a run whose documents and tokens are there: what it is given, what is foretold, and who helps."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from train.batches import Sequences, build_objective
from train.config import Config, config_digest, resolved
from train.loss import NextToken
from train.model import LanguageModel, build_model
from train.numerics import Choices, device_memory_bytes, free_memory_bytes
from train.parallel import Mesh, Plan, Replicas, check_axes, check_length, choose_plan, open_replicas
from train.plan import Needs, memory_of, price_here
from train.records import BadInput, digest_json, read_json, write_json
from train.run import (
    Job,
    LoggerConfig,
    Metrics,
    flips_per_step,
    forecast_seconds,
    list_checkpoints,
    load_weights,
    say,
    train,
)
from train.tokens import ExampleStore, TokenStore, Vocabulary, load_vocabulary
from train.tune import Lesson, lesson_of, open_base
from train.watching import watch_with

_NEVER, _FORECAST = 10**9, "forecast.json"
_TRAINED, _TUNED = 12, 4  # bytes that a parameter takes at least: with its gradient and a momentum; by itself


def job_of(
    config: Config, folder: Path, machine: Choices, replicas: Replicas,
    watch: Callable[[LanguageModel, int], Mapping[str, Any]],
) -> Job:  # fmt: skip
    """The training of this config, in a folder whose tokens are there."""
    plain, lesson = resolved(config), lesson_in(config, folder)
    return Job(
        folder=folder,
        model=lesson.model,
        sequences=lesson.sequences,
        loss=lesson.loss,
        from_seed=not config.tune.on,
        run=config.run,
        optim=config.optim,
        parallel=config.parallel,
        choices=machine,
        config_digest=config_digest(config),
        open_metrics=lambda step: Metrics(folder, step, config.logger, config.run.name, plain),
        watch=watch,
        replicas=replicas,
    )


def lesson_in(config: Config, folder: Path) -> Lesson:
    """What is learned in `folder`, whose tokens are there: a language from nothing, or answers by a model that is."""
    if config.tune.on:
        model = open_base(Path(config.tune.base), config.tune.digest).load()
    else:
        with torch.device("meta"):  # it takes memory when the training begins, and each process for its own part
            model = build_model(config.model)
    return lesson_with(config, model, folder / "tokens", load_vocabulary(folder / "tokens"))


def lesson_with(config: Config, model: LanguageModel, tokens: Path, vocabulary: Vocabulary) -> Lesson:
    """What `model` learns from the tokens in a folder: of a run, or of a release whose tokens were made again."""
    if config.tune.on:
        return lesson_of(config.tune, model, vocabulary, ExampleStore(tokens, "train"), config.run.seed)
    objective = build_objective(config.objective, vocabulary)
    within = getattr(config.model, "within_documents", False)
    sequences = Sequences(
        TokenStore(tokens, "train"), config.model.seq_len, objective,
        with_documents=within, halved_steps=config.optim.halved_steps,
    )  # fmt: skip
    return Lesson(model, sequences, NextToken())


def plan_of(config: Config, replicas: Replicas, device: str) -> Plan:
    """How the processes will share the training out. Raises BadInput if they cannot."""
    if config.tune.purpose and replicas.count > 1:
        raise BadInput(f"tune={config.tune.name.value}: goes on one process, as yet")
    with torch.device("meta"):
        model = build_model(config.model)
    parameters = sum(p.numel() for p in model.parameters())
    memory = device_memory_bytes(device) / (1 if device == "cuda" else replicas.local_count)
    plan = choose_plan(
        config.parallel,
        replicas.count,
        parameters=parameters,
        memory=memory,
        sequences_per_step=config.optim.sequences_per_step,
    )
    if config.tune.on and plan.sizes["tensor"] * plan.sizes["context"] > 1:
        raise BadInput(f"tune: goes along parallel.replicate and parallel.shard alone, as yet, and not {plan}")
    check_axes(model, plan, low=config.precision == "float8")
    check_length(config.optim.shortest(config.model.seq_len), plan.sizes["context"])
    _check_size(parameters * (_TUNED if config.tune.on else _TRAINED), plan, memory)
    return plan


def _check_size(held: int, plan: Plan, memory: float) -> None:
    """Raises BadInput if so many bytes of weights, gradients and optimizers, which are shared out, fit nowhere."""
    each = held / (plan.sizes["shard"] * plan.sizes["tensor"])
    if each > memory:
        raise BadInput(
            f"weights, gradients and optimizers take at least {each / 1e9:.1f} GB of each device, which has "
            f"{memory / 1e9:.1f}: a smaller model, or more devices to shard it over"
        )


def warn_of_memory(job: Job, config: Config) -> None:
    """Say so where a training of one process, which has not begun, may need more than is free: the system would end it
    without a word."""
    if (job.folder / _FORECAST).is_file():
        return
    machine = job.choices
    parts = config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels
    wanted, free = sum(memory_of(Needs(*parts, machine.precision)).values()), free_memory_bytes(machine.device)
    if wanted > free:
        say(
            f"memory     a step may take {wanted / 1e9:.1f} GB, and {free / 1e9:.1f} are free: "
            "parallel.sequences_per_device=1 and parallel.activation_checkpointing=full take less"
        )


def share_out(job: Job, plan: Plan) -> Job:
    """The same training, shared out; all processes come here."""
    if job.replicas.first and job.replicas.count > 1:
        say(f"parallel   {plan}")
    return replace(job, mesh=Mesh(plan, job.choices.device)) if job.replicas.count > 1 else job


def foretell(job: Job) -> None:
    """forecast.json: what the training will take on this machine, said before it begins and never afterwards."""
    record, first = job.folder / _FORECAST, job.replicas.first
    if not job.replicas.largest(int(first and not record.is_file())):
        return
    seconds = forecast_seconds(job)
    if not first:
        return
    say(f"forecast   {seconds / 60:.1f} minutes of training")
    said: dict[str, Any] = {"training_seconds": round(seconds, 1), **price_here(seconds).record()}
    if job.choices.exact:
        said["flips_per_step"] = flips = flips_per_step(job)
        say(f"numerics   two machines part once in {1 / max(flips, 1e-18):,.0f} steps, on average")
    write_json(record, said)


def train_other_seeds(job: Job, config: Config, score: Callable[[LanguageModel], float]) -> list[float]:
    """The scores of the same training with the seeds that follow, each in seeds/SEED below the run's folder."""
    scores = []
    for number in range(1, config.release.seeds):
        other = replace(
            config, run=replace(config.run, seed=config.run.seed + number, evaluate_every=_NEVER, publish=1)
        )
        folder = job.folder / "seeds" / str(other.run.seed)
        record = folder / "score.json"
        made_from = digest_json({"recipe": config_digest(other), "evaluate": resolved(config.evaluate)})
        if not record.is_file() or read_json(record)["made_from"] != made_from:
            folder.mkdir(parents=True, exist_ok=True)
            say(f"seed {other.run.seed}")
            alone = job_of(other, job.folder, job.choices, job.replicas, lambda model, step: {})
            metrics = lambda step, into=folder: Metrics(into, step, LoggerConfig(), into.name, {})  # noqa: E731
            trained = train(replace(alone, folder=folder, open_metrics=metrics))
            model = build_model(config.model)
            load_weights(model, list_checkpoints(folder / "checkpoints")[-1])
            write_json(record, {"made_from": made_from, "weights": trained["weights_digest"], "score": score(model)})
        scores.append(float(read_json(record)["score"]))
    return scores


def help_training(config: Config) -> None:
    """What every process of a run but the first does: wait until it is called to a training, and take its share."""
    with open_replicas(config.run.hang_after) as replicas:
        if replicas.called():
            folder = Path(config.run.folder) / config.run.name
            machine = Choices(**read_json(folder / "machine.json"))
            job = job_of(config, folder, machine, replicas, watch_with(config, folder, lambda line: None))
            job = share_out(job, plan_of(config, replicas, machine.device))
            foretell(job)
            train(replace(job, open_metrics=nullcontext))
