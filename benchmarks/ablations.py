"""What each idea brings to the loss, at the same cost: one training for each, beside the one without it.

    python -m benchmarks.ablations [RUN] [--steps 284] [--seeds 0] [--ideas NAME,NAME]      (default: runs/tiny)

RUN is a run of `tiny`, whose tokens are there. All train as `+experiment=speedrun` did, at `tiny`'s size, and change
one thing. The loss is that of the training text which comes next and none has read: nothing is chosen by the held-out
documents. Ideas that the config cannot say are tried by the code below, and move into train/ if they hold up.
Each result is kept in benchmarks/results/ablations-STEPS.json as it comes: a later call goes on, and trains what is
missing.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm

from benchmarks.measure import earlier_result, write_result
from train.batches import load_batches
from train.config import compose
from train.loss import NextToken
from train.numerics import look_at_machine
from train.optim import Muon, orthogonalise
from train.parallel import Replicas
from train.records import IGNORE, Batch
from train.run import Job, Step, prepare
from train.training import job_of

_ASKED = 50  # steps' worth of text that the loss is taken of
BASE = ("optim=muon", "optim.adamw_lr=0.02")
SHORT = ("optim.momentum=0.9", "optim.beta1=0.8")


@dataclass(frozen=True)
class Idea:
    """What is other than in the base: options; the job; the first step's optimizers and model; how a batch is cut.

    `averaged`: the weights asked are the mean of those after each step of the last so many, as a share.
    """

    options: tuple[str, ...] = ()
    job: Callable[[Job], Job] = lambda job: job
    change: Callable[[Step], None] = lambda step: None
    cut: Callable[[Batch, float], list[Batch]] = lambda batch, done: [batch]
    averaged: float = 0.0


class NormedMuon(Muon):
    """Each row of a step brought to one size by its own mean square so far (Li et al., "NorMuon", 2025)."""

    keep = 0.95

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; a matrix whose gradient is zero stays."""
        for group in self.param_groups:
            for parameter in group["params"]:
                ahead = self._momentum(parameter, group["momentum"])
                moved = orthogonalise(ahead[None], group["steps"])[0]
                square = moved.square().mean(1, keepdim=True)
                mean = self.state[parameter].setdefault("rows", torch.zeros_like(square))
                mean.lerp_(square, 1 - self.keep)
                even = moved / mean.sqrt().clamp(min=1e-8)
                even *= moved.norm() / even.norm().clamp(min=1e-8)
                scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.add_(even, alpha=-group["lr"] * scale)


def normed_muon(step: Step) -> None:
    """Put NorMuon in Muon's place."""
    (group,) = step.optimizers["muon"].param_groups
    other = NormedMuon(group["params"], group["lr"], group["momentum"], group["steps"], 0.0, torch.float32)
    other.param_groups[0]["full_lr"] = group["full_lr"]
    step.optimizers["muon"] = other  # type: ignore[index]


def cautious_decay(step: Step) -> None:
    """Decay a matrix's weights, at 0.1, where that is the way in which its gradient moves them."""
    muon, move = step.optimizers["muon"], step.move

    def decayed(number: int) -> float:
        before = [(p, p.detach().clone()) for group in muon.param_groups for p in group["params"]]
        factor = move(number)
        rate = muon.param_groups[0]["lr"] * 0.1
        with torch.no_grad():
            for parameter, old in before:
                parameter.sub_(old * ((old - parameter) * old > 0), alpha=rate)
        return factor

    step.move = decayed  # type: ignore[method-assign, assignment]


def normed_keys(step: Step) -> None:
    """Queries and keys of one length (Henry et al., "Query-Key Normalization", 2020), before they are turned."""
    for name, module in step.model.named_modules():
        if name.endswith(("attention.q", "attention.k")):
            module.register_forward_hook(lambda _, __, out: rms_norm(out.unflatten(-1, (-1, 64)), (64,)).flatten(-2))


class Capped(NextToken):
    """Logits that stay within 15 (as in Gemma 2, 2024)."""

    def forward(
        self, hidden: Tensor, head: nn.Linear, targets: Tensor, inputs: Mapping[str, Tensor], precision: torch.dtype,
        compiling: bool,
    ) -> Tensor:  # fmt: skip
        """The sum over the targets."""
        logits = 15 * torch.tanh(head(hidden).float() / 15)
        return cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def halves_first(batch: Batch, done: float) -> list[Batch]:
    """Two steps of half the sequences in place of one, for the first third."""
    if done > 1 / 3:
        return [batch]
    middle = len(batch.sequences) // 2
    return [_part(batch, slice(0, middle)), _part(batch, slice(middle, None))]


def _part(batch: Batch, part: slice) -> Batch:
    return Batch(
        inputs={name: array[part] for name, array in batch.inputs.items()},
        targets=batch.targets[part],
        keys=batch.keys[part],
        sequences=batch.sequences[part],
    )


def head_at(factor: float) -> Callable[[Step], None]:
    """The head's own learning rate: so many times that of the embedding."""

    def change(step: Step) -> None:
        adamw, head = step.optimizers["adamw"], step.model.head.weight
        tables = adamw.param_groups[0]
        tables["params"] = [p for p in tables["params"] if p is not head]
        adamw.add_param_group({**tables, "params": [head], "full_lr": factor * tables["full_lr"]})

    return change


def warmed_momentum(step: Step) -> None:
    """Muon's momentum from 0.85 to what it is, over the first sixth."""
    (group,), move, steps = step.optimizers["muon"].param_groups, step.move, step._job.optim.steps
    full = group["momentum"]

    def moved(number: int) -> float:
        group["momentum"] = 0.85 + (full - 0.85) * min(1.0, 6 * number / steps)
        return move(number)

    step.move = moved  # type: ignore[method-assign, assignment]


def start_all(step: Step) -> None:
    """Matrices out of a block and the head begin as those into it do, at a half of their size."""
    with torch.no_grad():
        for number, (name, parameter) in enumerate(step.model.named_parameters()):
            if name.endswith(("attention.o.weight", "mlp.down.weight", "head.weight")):
                random = torch.Generator().manual_seed(number)
                parameter.normal_(0, 0.5 / parameter.shape[1] ** 0.5, generator=random)


IDEAS = {
    "base": Idea(),
    "AdamW for all at 0.003": Idea(("optim=adamw", "optim.lr=0.003", "optim.adamw_lr=0.003")),
    "AdamW's part at 0.003": Idea(("optim.adamw_lr=0.003",)),
    "AdamW's part at 0.04": Idea(("optim.adamw_lr=0.04",)),
    "normalised update (NorMuon)": Idea(change=normed_muon),
    "queries and keys normalised": Idea(change=normed_keys),
    "logits capped at 15": Idea(job=lambda job: replace(job, loss=Capped())),
    "half batches in the first third": Idea(cut=halves_first),
    "half the length in the first third": Idea(("optim.halved_share=0.3333",)),
    "the head at a third of the rate": Idea(change=head_at(1 / 3)),
    "the head at three times the rate": Idea(change=head_at(3.0)),
    "Muon's momentum from 0.85": Idea(change=warmed_momentum),
    "AdamW's beta1 0.8": Idea(("optim.beta1=0.8",)),
    "constant rate and the last fifth averaged": Idea(("optim.schedule=constant",), averaged=0.2),
    "the last tenth averaged": Idea(averaged=0.1),
    "cautious decay 0.1": Idea(change=cautious_decay),
    "no block begins as the identity": Idea(change=start_all),
    "Muon at 0.024": Idea(("optim.lr=0.024",)),
    "Muon at 0.006": Idea(("optim.lr=0.006",)),
    "decay from the start": Idea(("optim.decay_share=1.0",)),
    "decay over the last 0.3": Idea(("optim.decay_share=0.3",)),
    "five Newton-Schulz steps": Idea(("optim.newton_schulz_steps=5",)),
    "two Newton-Schulz steps": Idea(("optim.newton_schulz_steps=2",)),
    "heads of 32": Idea(("model.n_heads=8", "model.d_head=32")),
    "tied embeddings": Idea(("model.tie_embeddings=true",)),
    "attention within documents": Idea(("model.within_documents=true",)),
    "Muon's momentum 0.9": Idea(("optim.momentum=0.9",)),
    "Muon's momentum 0.98": Idea(("optim.momentum=0.98",)),
    "momentum 0.9 and beta1 0.8": Idea(SHORT),
    "both and half the length in the first third": Idea((*SHORT, "optim.halved_share=0.3333")),
    "both and half the length in the first half": Idea((*SHORT, "optim.halved_share=0.5")),
    "both and two Newton-Schulz steps": Idea((*SHORT, "optim.newton_schulz_steps=2")),
    "AdamW's beta2 0.99": Idea(("optim.beta2=0.99",)),
    "cosine": Idea(("optim.schedule=cosine",)),
}


def train_with(idea: Idea, folder: Path, steps: int, seed: int) -> float:
    """Train, and the loss in nats a token on the text that comes next."""
    torch.compiler.reset()  # what was compiled for another idea would do for this one, hooks or not
    base = () if "optim=adamw" in idea.options else BASE
    config = compose(["+experiment=tiny", *base, *idea.options, f"optim.steps={steps}", f"run.seed={seed}"])
    job = idea.job(job_of(config, folder, look_at_machine(), Replicas(), lambda model, step: {}))
    batches = load_batches(
        job.sequences, seed=seed, sequences_per_step=config.optim.sequences_per_step, first_step=0,
        steps=steps + _ASKED,
    )  # fmt: skip
    step = prepare(job)
    idea.change(step)
    average = [torch.zeros_like(p) for p in job.model.parameters()]
    averaged = round(steps * idea.averaged)
    for number in range(1, steps + 1):
        for batch in idea.cut(next(batches), number / steps):
            step(number, batch)
        if number > steps - averaged:
            torch._foreach_add_(average, list(job.model.parameters()), alpha=1 / averaged)
    if averaged:
        with torch.no_grad():
            for parameter, value in zip(job.model.parameters(), average, strict=True):
                parameter.copy_(value)
    return _loss(job, batches)


@torch.no_grad()
def _loss(job: Job, batches: Iterator[Batch]) -> float:
    losses = []
    for batch in batches:
        inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
        targets = torch.from_numpy(batch.targets)
        hidden = job.model.hidden(**inputs)
        summed = job.loss(hidden, job.model.head, targets, inputs, torch.float32, False)
        losses.append(float(summed) / job.loss.count(batch.targets, batch.inputs))
    return float(np.mean(losses))


def main() -> None:
    """Train what is missing, print each beside the base of its seed, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/tiny"))
    parser.add_argument("--steps", type=int, default=284)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--ideas", default="")  # not --only: Inductor looks for that and writes its value into its code
    given = parser.parse_args()
    chosen = look_at_machine()
    torch.set_num_threads(chosen.threads)
    result = f"ablations-{given.steps}"
    found: dict[str, dict[str, float]] = earlier_result(result).get("losses", {})
    names = ["base", *(name for name in given.ideas.split(",") if name)] if given.ideas else list(IDEAS)
    for seed in given.seeds.split(","):
        for name in names:
            if seed not in found.setdefault(name, {}):
                found[name][seed] = round(train_with(IDEAS[name], given.run, given.steps, int(seed)), 5)
                write_result(result, {"steps": given.steps, "losses": found, "change": changes(found)})
            share = found[name][seed] / found["base"][seed] - 1
            print(f"seed {seed}  {found[name][seed]:.4f}  {share:+7.2%}  {name}", flush=True)


def changes(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """By idea, the mean over its seeds of what it changes of the base's loss, as a share."""
    base = found["base"]
    return {
        name: round(float(np.mean([loss / base[seed] - 1 for seed, loss in losses.items()])), 4)
        for name, losses in found.items()
        if losses
    }


if __name__ == "__main__":
    main()
