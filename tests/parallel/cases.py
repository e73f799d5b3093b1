"""A few steps on a mesh, for the tests: in this process alone, or as one of several."""

import resource
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from train.batches import load_batches
from train.config import compose
from train.model import build_model
from train.model.init import normal_values
from train.numerics import (
    Choices,
    Rounding,
    Spread,
    digest_tensors,
    local,
    master_weights,
    peak_memory_bytes,
    piece_of,
    save_tensors,
    whole,
)
from train.optim import Muon, make_optimizers
from train.parallel import Mesh, Replicas, choose_plan, open_replicas, spread_model
from train.plan import Needs
from train.run import Job, LoggerConfig, Metrics, Step, train
from train.run.checkpoint import checkpoint_tensors, save_checkpoint

FAMILIES = {
    "gpt2": ["model=gpt2", "model.dropout=0.1", "model.attention_dropout=0.1"],
    "llama": ["model=llama", "model.n_kv_heads=2", "model.d_head=16"],
    "llama-one-key": ["model=llama", "model.n_kv_heads=1", "model.d_head=16", "model.tie_embeddings=true"],
    "falcon": ["model=falcon"],
    "falcon-rw": ["model=falcon", "model.kind=rw", "model.n_kv_heads=4"],
    "bloom": ["model=bloom", "model.within_documents=true"],
    "bert": ["model=bert"],
    "t5": ["model=t5", "model.d_head=16"],
    "xlnet": ["model=xlnet"],
}  # fmt: skip


def job_for(case: dict[str, Any], replicas: Replicas) -> Job:
    """{"family", "axes", "precision", "words", "folder", "until"}."""
    config = compose([
        "+experiment=smoke", *FAMILIES[case.get("family", "llama")], "model.seq_len=32", "model.d_model=64",
        "model.n_heads=4", "model.d_ff=256", "model.n_layers=2", "optim.schedule=wsd", "optim.sequences_per_step=4",
        "optim.weight_decay=0.1", "optim.steps=4", "optim.warmup_steps=1", "run.publish=2", "run.evaluate_every=1000",
        "run.checkpoint_every=1000", "parallel.sequences_per_device=2", *case.get("words", []),
        *(f"parallel.{axis}={size}" for axis, size in case.get("axes", {}).items()),
    ])  # fmt: skip
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
    plan = choose_plan(
        config.parallel, replicas.count, parameters=1, memory=1e9, sequences_per_step=config.optim.sequences_per_step
    )
    within = getattr(config.model, "within_documents", False)
    sequences = replace(needs.sequences(), with_documents=within, halved_steps=config.optim.halved_steps)
    folder = Path(case["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        model = build_model(config.model)
    return Job(
        folder=folder, model=model, sequences=sequences, run=config.run, optim=config.optim, parallel=config.parallel,
        choices=Choices(precision=case.get("precision", "float32"), compile=False, threads=1, device="cpu"),
        config_digest="", watch=lambda model, step: {}, replicas=replicas, mesh=Mesh(plan), rounding=Rounding(),
        open_metrics=(lambda step: Metrics(folder, step, LoggerConfig(), "x", {})) if replicas.first else nullcontext,
        until=case.get("until", 0),
    )  # fmt: skip


def prepare(job: Job) -> Step:
    """A step whose weights are all random, so that no gradient is zero, and whose optimizers are plain."""
    spread_model(job.model, job.parallel, job.mesh, job.choices)
    job.model.initialise(1)
    for name, parameter in job.model.named_parameters():
        local(parameter).add_(normal_values(piece_of(parameter), 2, name) * 0.05)
    optimizers = make_optimizers(job.optim, job.model, torch.float32)
    for optimizer in optimizers.values():
        if isinstance(optimizer, Muon):
            optimizer.precision = torch.promote_types(torch.float32, next(job.model.parameters()).dtype)
    return Step(job, optimizers)


def take(case: dict[str, Any], replicas: Replicas | None = None) -> dict[str, Any]:
    """Two steps of plain optimizers: losses and norms; the first's gradients and the last weights are left in files."""
    job = job_for(case, replicas or Replicas())
    step, losses, norms = prepare(job), [], []
    batches = load_batches(job.sequences, seed=0, sequences_per_step=4, first_step=0, steps=2)
    for number, batch in enumerate(batches, start=1):
        loss, norm = step.gradients(batch).tolist()
        losses.append(loss)
        norms.append(norm)
        if number == 1:
            gradients = {
                name: whole(piece_of(p), local(p.grad))
                for name, p in job.model.named_parameters()
                if p.grad is not None
            }
        step.move(number)
    weights = {name: whole(piece_of(p), local(p)) for name, p in job.model.named_parameters()}
    if job.replicas.first:
        save_tensors(gradients, job.folder / "gradients.safetensors")
        save_tensors(weights, job.folder / "weights.safetensors")
    return {"losses": losses, "norms": norms, "plan": str(job.mesh.plan)}


def take_all(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Case after case in the same processes."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        return [take(case, replicas) for case in cases]


def train_all(cases: list[dict[str, Any]]) -> list[str]:
    """Trainings with checkpoints: the digests of their last weights."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        return [train_one(case, replicas) for case in cases]


def train_one(case: dict[str, Any], replicas: Replicas | None = None) -> str:
    return str(train(job_for(case, replicas or Replicas()))["weights_digest"])


def save_where_one_has_no_room(case: dict[str, Any]) -> list[Any]:
    """[what the first process hears when the second may write no file, what is left behind]."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        job = job_for(case, replicas)
        files = checkpoint_tensors(job.model, prepare(job).optimizers)
        if not replicas.first:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            save_checkpoint(job.folder, 1, files, lambda *digests: pytest.fail("it was not saved"), replicas)
        except OSError as error:
            return [str(error), [path.name for path in job.folder.iterdir()]]
        return ["no error", []]


def initial(cases: list[dict[str, Any]]) -> list[str]:
    """The digests of initial weights."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        return [initial_of(case, replicas) for case in cases]


def initial_of(case: dict[str, Any], replicas: Replicas | None = None) -> str:
    job = job_for(case, replicas or Replicas())
    spread_model(job.model, job.parallel, job.mesh, job.choices)
    job.model.initialise(1, exact=job.choices.exact)
    tensors: Spread = master_weights(job.model)
    return digest_tensors(tensors)


def memory(case: dict[str, Any]) -> list[int]:
    """[bytes of the whole model's weights, bytes by which this process has grown at most to hold its part]."""
    with open_replicas() as replicas:
        replicas.call() if replicas.first else replicas.called()
        job = job_for(case, replicas)
        whole_bytes = 4 * sum(p.numel() for p in job.model.parameters())
        import torch.distributed.fsdp  # noqa: F401 - its own memory is not the model's

        before = peak_memory_bytes()
        spread_model(job.model, job.parallel, job.mesh, job.choices)
        job.model.initialise(1)
        return [whole_bytes, peak_memory_bytes() - before]
