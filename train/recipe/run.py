"""What each stage does, and what it is made from."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import Objective, build_objective
from train.config import Config, config_digest, public, resolved, to_yaml
from train.documents import SPLITS, build_corpus, read_documents
from train.evaluate import (
    Reader,
    Text,
    evaluate_texts,
    expected_groups,
    prediction_bounds,
    prepare_tasks,
    read_texts,
    run_tasks,
)
from train.model import LanguageModel, build_model
from train.numerics import Choices, describe_machine, digest_tensors, look_at_machine, master_weights, settle
from train.parallel import Replicas
from train.recipe.corpus import prepared_parts
from train.records import BadInput, Document, Json, read_json, write_atomically, write_json
from train.run import (
    RunFolder,
    check_logger,
    check_operations,
    load_weights,
    progress,
    say,
    train,
)
from train.sample import Sampling, Speaker
from train.scoring import Tokens, TrainingText, look_up, score_model, training_text
from train.standards import read_key
from train.tokens import (
    TokenStore,
    Vocabulary,
    load_chat,
    load_tokenizer,
    load_vocabulary,
    save_tokenizer,
    texts_to_learn,
    train_tokenizer,
    write_shards,
)
from train.training import foretell, job_of, plan_of, share_out, train_other_seeds, warn_of_memory
from train.watching import Watch, watch_with

_DRAWS = 3  # samples of each prompt that are held against the training text


class Run:
    """The stages of one run: what each is made from, and how."""

    def __init__(self, config: Config, folder: Path, replicas: Replicas) -> None:
        if config.release.sign:
            read_key(config.release.sign)  # a mistake is to be known before the training, not after it
        check_logger(config.logger)
        if config.evaluate.tasks:
            prepare_tasks(config.evaluate.tasks, Path(config.data.cache))
        self.config, self.folder, self.digest, self.replicas = config, folder, config_digest(config), replicas
        self.record = RunFolder(folder, public(resolved(config, recipe_only=True)))
        with write_atomically(folder / "config.yaml") as file:
            file.write(to_yaml(public(resolved(config))))
        self.machine = self._choose()

    def _choose(self) -> Choices:
        """What this run computes in: what the user says, else what was chosen before, else by a look at the machine."""
        run, record = self.config.run, self.folder / "machine.json"
        precision, compiling, threads = self.config.precision, run.compile, run.threads
        if record.is_file():
            try:
                before = Choices(**read_json(record))
            except TypeError as error:
                raise BadInput(
                    f"{record}: damaged ({error}); delete it, and this machine is looked at again"
                ) from error
            if precision == "auto" and not before.exact:  # which numerics=exact alone chooses
                precision = before.precision
            compiling = ("blocks" if before.compile else "none") if compiling == "auto" else compiling
            threads = threads or before.threads
        chosen = look_at_machine(precision, compiling, threads, self.replicas.local_count)
        say(f"machine    {chosen.why}")
        write_json(record, chosen.record())
        return chosen

    def make_documents(self) -> Json:
        """documents/: the corpus and what was left out."""
        with progress("documents", 0, "B") as bar:
            parts = prepared_parts(self.config)
            summary = build_corpus(self.config.data, self.folder / "documents", bar.update, parts=parts)
        left_out = ", ".join(f"{rule} {count}" for rule, count in summary["excluded"].items()) or "none"
        say(f"documents  {summary['kept']} kept of {summary['seen']}; left out: {left_out}")
        return summary

    def make_tokens(self, summary: Json) -> Json:
        """tokens/: the tokenizer and both splits encoded."""
        documents, folder = self.folder / "documents", self.folder / "tokens"
        n_bytes = summary["by"]["split"]["train"]["bytes"]
        with progress("tokenizer", n_bytes, "B") as bar:

            def read() -> Iterator[Document]:
                for document in read_documents(documents, "train"):
                    bar.update(document.n_bytes)
                    yield document

            texts = texts_to_learn(self.config.tokenizer, read(), n_bytes)
            tokenizer = train_tokenizer(self.config.tokenizer, texts)
        result: dict[str, Any] = {
            "tokenizer": save_tokenizer(tokenizer, self.config.tokenizer, folder, self.config.model.seq_len)
        }
        opens = self.config.tokenizer.opens
        for split in SPLITS:
            with progress("tokens", summary["by"]["split"][split]["bytes"], "B") as bar:
                result[split] = write_shards(
                    read_documents(documents, split), tokenizer, opens, folder, split, bar.update
                )
        say(f"tokens     {result['train']['tokens']:,} to train on, {result['validation']['tokens']:,} held out")
        return result

    def make_weights(self) -> Json:
        """checkpoints/: the model, trained to its last step."""
        config = self.config
        job = job_of(config, self.folder, self.machine, self.replicas, self.watch())
        if config.numerics.exact:
            check_operations(job)
        self.replicas.call()
        job = share_out(job, plan_of(config, self.replicas, self.machine.device))
        if self.replicas.count == 1 and not config.tune.on:
            warn_of_memory(job, config)
        foretell(job)
        return {
            **train(job),
            "choices": self.machine.record() | {"mesh": dict(job.mesh.sizes)},
            "environment": describe_machine(),
            "sequences": len(job.sequences),
        }

    def watch(self) -> Watch:
        """What is looked at as it learns."""
        return watch_with(self.config, self.folder, say)

    def speak(self, model: LanguageModel, prompt: str, length: int, seed: int = 0) -> str:
        """A sample: the prompt and what the model makes of it, drawn with the run's seed and `seed`."""
        tokens = self.folder / "tokens"
        speaker = Speaker(model, load_tokenizer(tokens), self.vocabulary(), load_chat(tokens))
        return speaker.say(prompt, Sampling(max_tokens=length, seed=self.config.run.seed + seed))

    def vocabulary(self) -> Vocabulary:
        """What is to be known of the tokenizer that was trained."""
        return load_vocabulary(self.folder / "tokens")

    def objective(self) -> Objective:
        """What the model learns to predict."""
        return build_objective(self.config.objective, self.vocabulary())

    def texts(self) -> list[Text]:
        """The held-out documents and their tokens."""
        store = TokenStore(self.folder / "tokens", "validation")
        return read_texts(store, read_documents(self.folder / "documents", "validation"))

    @property
    def last_checkpoint(self) -> str:
        """The file that training writes last."""
        return f"checkpoints/step-{self.config.optim.steps:06d}/state.json"

    def blank(self) -> LanguageModel:
        """A model into which what was learned can be loaded."""
        return build_model(self.config.model)

    def model(self, trained: Json) -> LanguageModel:
        """The model that was trained. Raises BadInput if its checkpoint is no longer what it was."""
        settle(self.machine)
        model = self.blank()
        try:
            load_weights(model, (self.folder / self.last_checkpoint).parent)
            if digest_tensors(master_weights(model)) != trained["weights_digest"]:
                raise BadInput("its tensors are not those that were saved")
        except BadInput as error:
            self.record.forget("training")
            raise BadInput(
                f"{self.last_checkpoint}: damaged ({error}). Give the same command again: the end of the training is "
                "done again from the checkpoint before"
            ) from error
        return model

    def make_results(self, trained: Json) -> Json:
        """How good the model is, and how much of what it says it has by heart."""
        texts, model, store = self.texts(), self.model(trained), TokenStore(self.folder / "tokens", "train")
        with progress("evaluation", sum(len(text.tokens) - 1 for text in texts), "tok") as bar:
            found = score_model(model, self.objective(), store, texts, self.config.evaluate, bar.update)
        with self.read() as read:
            found |= look_up(read, self.samples(model), texts) | self.asked_more(model, texts, read)
        return found | {"objective": resolved(self.config.objective)}

    def read(self) -> AbstractContextManager[TrainingText]:
        """What the model has learned from, to look into."""
        folder = self.folder / "tokens"
        return training_text(TokenStore(folder, "train"), load_tokenizer(folder))

    def asked_more(self, model: LanguageModel, texts: list[Text], read: TrainingText) -> dict[str, Any]:
        """What else the config wants to know: which groups it expects, tasks."""
        found: dict[str, Any] = {}
        if self.config.evaluate.bias:
            found |= self._expected_groups(model, {text.language for text in texts})
        if tasks := self.config.evaluate.tasks:
            found["tasks"] = self.ask_tasks(model, tasks, read)
        return found

    def lineage(self) -> list[dict[str, str]]:
        """What this run was made from."""
        made_from = self.config.release.made_from
        return [dict(made_from)] if made_from else []

    def beside(self) -> dict[str, Path]:
        """Files of this run that go into the release as they are, by their names there."""
        return {}

    def samples(self, model: LanguageModel) -> list[Tokens]:
        """What the model makes of the prompts, a few times each."""
        tokenizer, prompts = load_tokenizer(self.folder / "tokens"), self.config.run.prompts or [""]
        lines = [self.speak(model, prompt, 100, seed) for prompt in prompts for seed in range(_DRAWS)]
        return [np.asarray(tokenizer.encode(line).ids, np.int64) for line in lines]

    def _expected_groups(self, model: LanguageModel, languages: set[str]) -> Json:
        """Which groups the model expects, in the languages of its texts, if there is something to ask."""
        tokenizer, size = load_tokenizer(self.folder / "tokens"), self.config.evaluate.batch_size
        groups = expected_groups(model, tokenizer, self.vocabulary(), sorted(languages), size)
        return {} if groups is None else {"bias": groups}

    def ask_tasks(self, model: LanguageModel, tasks: list[str], read: TrainingText) -> Json:
        """The scores on tasks, by name."""
        config, tokenizer = self.config.evaluate, load_tokenizer(self.folder / "tokens")
        reader = Reader(model, tokenizer, self.vocabulary(), config.batch_size)
        found = run_tasks(reader, tasks, config.limit, Path(self.config.data.cache), read.overlap)
        return {one.task: one.record() for one in found}

    def make_bounds(self, results: Json) -> Json:
        """Where the score of another seed is to be expected, from as many more trainings as are asked for."""
        texts, config = self.texts(), self.config
        job = job_of(config, self.folder, self.machine, Replicas(), lambda model, step: {})

        def score(model: LanguageModel) -> float:
            return float(evaluate_texts(model, self.objective(), texts, config.evaluate).report["total"])

        scores = [float(results["bits_per_byte"]["total"]), *train_other_seeds(job, config, score)]
        return {"seeds": prediction_bounds(scores)}
