"""The stages of a run that tunes a model: other rules, examples in place of a text, and two scores side by side."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from train.config import Config, resolved
from train.documents import SPLITS, Rule, build_corpus, read_documents
from train.evaluate import (
    ANSWERS,
    TASKS,
    Asked,
    FiveGram,
    answers_yardstick,
    drawn,
    evaluate_answers,
    longest_answer,
    mark_exam,
    read_answers,
    read_examples,
    task_of,
    write_answers,
)
from train.model import LanguageModel
from train.numerics import digest_tensors
from train.parallel import Replicas
from train.recipe.run import Run
from train.records import BadInput, Json
from train.run import progress, say
from train.sample import Reply, Sampling, Speaker
from train.scoring import TrainingText, beside_base, look_up, told_before, too_short
from train.tokens import ExampleStore, Message, TokenStore, load_chat, load_tokenizer, write_examples
from train.training import lesson_in
from train.tune import Base, TuneName, merge, open_base, rules_of, save_adapter


class TunedRun(Run):
    """A run that begins from the weights of another."""

    def __init__(self, config: Config, folder: Path, replicas: Replicas) -> None:
        super().__init__(config, folder, replicas)
        if config.tune.task and config.tune.task not in TASKS:
            raise BadInput(f"tune.task={config.tune.task}: one of {', '.join(TASKS)}")

    @property
    def task(self) -> str:
        """What the answers are scored by, or nothing."""
        if self.config.tune.name is TuneName.dpo:
            return ""  # its examples are comparisons
        return task_of(self.config.tune.task, self.config.data.name)

    @property
    def base(self) -> Base:
        """The model that is tuned."""
        return open_base(Path(self.config.tune.base), self.config.tune.digest)

    def make_documents(self) -> Json:
        """documents/: the examples and what was left out, what is too long for the model with it."""
        with progress("documents", 0, "B") as bar:
            summary = build_corpus(self.config.data, self.folder / "documents", bar.update, self.rules())
        left_out = ", ".join(f"{rule} {count}" for rule, count in summary["excluded"].items()) or "none"
        say(f"examples   {summary['kept']} kept of {summary['seen']}; left out: {left_out}")
        return summary

    def rules(self) -> Sequence[Rule]:
        """Which documents are no examples."""
        return rules_of(self.config.tune, self.base.chat(), self.config.model.seq_len)

    def make_tokens(self, summary: Json) -> Json:
        """tokens/: the base's tokenizer with the template, and both splits encoded, which tokens are answers beside."""
        chat, folder = self.base.chat(), self.folder / "tokens"
        result: dict[str, Any] = {"tokenizer": self.base.hand_over(folder, self.config.tune)}
        for split in SPLITS:
            with progress("tokens", summary["by"]["split"][split]["bytes"], "B") as bar:
                documents = read_documents(self.folder / "documents", split)
                result[split] = write_examples(documents, chat, folder, split, bar.update)
        say(f"tokens     {result['train']['tokens']:,} to train on, {result['validation']['tokens']:,} held out")
        return result

    def blank(self) -> LanguageModel:
        """The base, with new adapters where there are some."""
        return lesson_in(self.config, self.folder).model

    def model(self, trained: Json) -> LanguageModel:
        """The model that was tuned, its adapters put into the weights."""
        model = super().model(trained)
        if self.config.tune.name is TuneName.lora:
            save_adapter(model, self.config.tune, self.base.name, self.folder / "adapter")
            merge(model)
        return model

    def asked(self) -> list[Asked]:
        """The held-out examples."""
        return read_answers(read_documents(self.folder / "documents", "validation"), self.base.chat())

    def make_results(self, trained: Json) -> Json:
        """How well the model answers, beside the base and a 5-gram of the same examples."""
        asked, model, store = self.asked(), self.model(trained), TokenStore(self.folder / "tokens", "train")
        with progress("evaluation", 2 * sum(len(one.answer.tokens) - 1 for one in asked), "tok") as bar:
            tuned = evaluate_answers(model, asked, bar.update).report
            base = evaluate_answers(begun := self.base.load(), asked, bar.update).report
        yardsticks = {
            name: answers_yardstick(FiveGram(store.documents(), store.vocab_size, order), asked)
            for name, order in (("five_gram", 5), ("unigram", 1))
        }
        say(f"answers    {tuned['total']:.4f} bits per byte; the base {base['total']:.4f}")
        with self.read() as read:
            beside = {
                **look_up(read, self.samples(model), [one.answer for one in asked]),
                **self.asked_more(model, [one.answer for one in asked], read),
            }
        return {
            "bits_per_byte": tuned | yardsticks,
            "base": {"name": self.base.name, **{k: base[k] for k in ("total", "prefers_the_better") if k in base}},
            "again": "python -m train evaluate RELEASE",
            "documents": "data/documents-validation.parquet",
            "yardstick": "as for a text: the answers' tokens, each from those before it, the question among them",
            "objective": resolved(self.config.objective),
            **beside,
            **self.answered(model, begun, asked),
        }

    def ask_tasks(self, model: LanguageModel, tasks: list[str], read: TrainingText) -> Json:
        """The scores on tasks, by name; what the base has read counts as read."""
        with beside_base(read, self.base.folder) as both:
            return super().ask_tasks(model, tasks, both)

    def answered(self, model: LanguageModel, base: LanguageModel, asked: list[Asked]) -> Json:
        """What both answer to held-out questions, each token the likeliest, beside answers that take no model."""
        if not self.task:
            return {}
        train, held_out = (read_documents(self.folder / "documents", split) for split in SPLITS)
        limit = self.config.evaluate.limit
        examples, texts = [*read_examples(drawn(held_out, limit))], drawn((one.answer for one in asked), limit)
        longest = longest_answer(ExampleStore(self.folder / "tokens", "train"))
        with progress("answers", 2 * len(examples), "answer") as bar:
            replies = {
                who: [*self._answers(speaking, examples, longest, bar.update)]
                for who, speaking in (("tuned", model), ("its base", base))
            }
        said = {who: [reply.text() for reply in given] for who, given in replies.items()}
        write_answers(self.folder / ANSWERS.name, [text.id for text in texts], said, [r.said for r in replies["tuned"]])
        told = told_before(self.base.folder, texts)
        found = mark_exam(self.task, [*read_examples(train)], examples, said, told) | {"longest_answer": longest}
        found |= {} if told is None else {"short": too_short(texts)}
        for who, marks in found["scores"].items():
            say(f"{self.task:<10} {who}: " + ", ".join(f"{name} {mark['value']:.3f}" for name, mark in marks.items()))
        if found.get("read"):
            say(f"{self.task:<10} {found['read']} of {len(texts)} answers stand in the base's training text")
        if found.get("short"):
            say(f"{self.task:<10} {found['short']} of {len(texts)} answers are too short to be found there")
        return {"task": found}

    def _answers(
        self, model: LanguageModel, examples: list[tuple[str, str]], longest: int, advance: Callable[[int], object]
    ) -> Iterator[Reply]:
        tokens = self.folder / "tokens"
        speaker = Speaker(model, load_tokenizer(tokens), self.vocabulary(), load_chat(tokens))
        for question, _ in examples:
            reply = speaker.reply([Message("user", question)])
            for _ in reply.steps(Sampling(temperature=0.0, max_tokens=longest)):
                pass
            advance(1)
            yield reply

    def lineage(self) -> list[dict[str, str]]:
        """The base first, whose weights these begin from."""
        tune, data = self.config.tune, self.config.data
        weights = digest_tensors(dict(self.base.load().named_parameters()))
        changes = f"tuned ({tune.name.value}) on examples: {data.name}"
        return [self.base.lineage(weights, changes, tune.why or "no reason was given"), *super().lineage()]

    def beside(self) -> dict[str, Path]:
        """The base's release.json and sums; the adapters."""
        files = dict(self.base.papers())
        if (answers := self.folder / ANSWERS.name).is_file():
            files[str(ANSWERS)] = answers
        if self.config.tune.name is TuneName.lora:
            files |= {f"adapter/{path.name}": path for path in sorted((self.folder / "adapter").iterdir())}
        return files
