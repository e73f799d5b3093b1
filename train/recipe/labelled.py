"""The stages of a run in which an encoder learns to put labels on what it reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from train.config import resolved
from train.documents import SPLITS, Rule, read_documents
from train.evaluate import Judged, Text, evaluate_labels, guess_all, judge_all, labels_yardstick, score_labels
from train.model import Labeller, LanguageModel, Purpose
from train.recipe.tuned import TunedRun
from train.records import Json
from train.run import progress, say
from train.scoring import look_up
from train.tokens import load_tokenizer, read_labelled, read_labels, write_labelled
from train.tune import label_rules


class LabelledRun(TunedRun):
    """A run that begins from an encoder's weights and gives it another head."""

    @property
    def purpose(self) -> Purpose:
        """What the labels are of."""
        assert self.config.tune.purpose is not None
        return self.config.tune.purpose

    @property
    def task(self) -> str:
        """None: labels are scored by metrics of their own."""
        return ""

    def rules(self) -> Sequence[Rule]:
        """Which documents are no examples."""
        return label_rules(self.purpose, self.base.marker(), self.config.model.seq_len)

    def make_tokens(self, summary: Json) -> Json:
        """tokens/: the base's tokenizer, and both splits encoded, with a mark at each token."""
        folder = self.folder / "tokens"
        result: dict[str, Any] = {"tokenizer": self.base.hand_over(folder, self.config.tune)}
        tokenizer, vocabulary = load_tokenizer(folder), self.vocabulary()
        for split in SPLITS:
            with progress("tokens", summary["by"]["split"][split]["bytes"], "B") as bar:
                documents = read_documents(self.folder / "documents", split)
                result[split] = write_labelled(documents, tokenizer, vocabulary, folder, split, bar.update)
        labels = read_labels(folder)
        say(f"tokens     {result['train']['tokens']:,} to train on, {result['validation']['tokens']:,} held out")
        say(f"labels     {', '.join(labels) or 'an answer begins, ends'}")
        return result

    def judged(self, split: str) -> list[Judged]:
        """The examples of a split, encoded."""
        marker = self.base.marker(read_labels(self.folder / "tokens"))
        return judge_all(read_labelled(read_documents(self.folder / "documents", split)), marker)

    def speak(self, model: LanguageModel, prompt: str, length: int, seed: int = 0) -> str:
        """The first held-out example, as the model labels it: no prompt is asked."""
        assert isinstance(model, Labeller)
        first = self.judged("validation")[:1]
        return first[0].shown(evaluate_labels(model, first)[1][0].labels)

    def make_results(self, trained: Json) -> Json:
        """How well the model labels, beside guesses that take no model, and n-grams."""
        train, held_out, model = self.judged("train"), self.judged("validation"), self.model(trained)
        assert isinstance(model, Labeller)
        count = len(model.labels)
        with progress("evaluation", sum(len(one.marked.tokens) for one in held_out), "tok") as bar:
            bits, said = evaluate_labels(model, held_out, bar.update)
        for name, order in (("five_gram", 5), ("unigram", 1)):
            bits[name] = labels_yardstick(train, held_out, self.vocabulary().size, count, order)
        guessed = guess_all(self.purpose, [one.example for one in train], [one.example for one in held_out])
        own = self.purpose.value
        scores = score_labels(self.purpose, {own: [one.labels for one in said], **guessed}, held_out)
        for who, marks in scores.items():
            say(f"{who:<34} " + ", ".join(f"{metric} {mark['value']:.3f}" for metric, mark in marks.items()))
        found = {"name": own, "asked": len(held_out), "scores": scores.pop(own), "baselines": scores}
        texts = [Text.of(one.document, np.asarray(one.marked.tokens, np.int64)) for one in held_out]
        with self.read() as read:
            beside_training = look_up(read, [], texts)
        return {
            "bits_per_byte": bits,
            "again": "python -m train evaluate RELEASE",
            "documents": "data/documents-validation.parquet",
            "yardstick": "labels as tokens behind what they are of, held against all that could stand there",
            "objective": resolved(self.config.objective),
            **beside_training,
            "labels": found,
        }
