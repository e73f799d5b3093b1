"""What is looked at while a model is trained: bits per byte of a few held-out texts, and what it says to prompts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import build_objective
from train.config import Config
from train.documents import read_documents
from train.evaluate import evaluate_answers, evaluate_labels, evaluate_texts, judge_all, read_answers, read_texts
from train.model import Labeller, LanguageModel
from train.records import printable
from train.sample import Sampling, Speaker
from train.tokens import (
    Marker,
    TokenStore,
    load_chat,
    load_tokenizer,
    load_vocabulary,
    read_labelled,
    read_labels,
)

Watch = Callable[[LanguageModel, int], Mapping[str, Any]]


def watch_with(config: Config, folder: Path, say: Callable[[str], object]) -> Watch:
    """The `watch` of a training whose documents and tokens are in `folder`; it tells samples by `say`."""
    if config.tune.purpose:
        return _watch_labels(config, folder, say)
    if config.tune.on:
        return _watch_answers(config, folder, say)
    vocabulary, tokenizer = load_vocabulary(folder / "tokens"), load_tokenizer(folder / "tokens")
    objective = build_objective(config.objective, vocabulary)
    texts = read_texts(TokenStore(folder / "tokens", "validation"), read_documents(folder / "documents", "validation"))
    few = [texts[n] for n in _few([len(text.tokens) for text in texts], config.evaluate.tokens_while_training)]

    return watching(
        lambda model: Speaker(model, tokenizer, vocabulary),
        lambda model: float(evaluate_texts(model, objective, few, config.evaluate).report["total"]),
        config,
        say,
    )


def _watch_answers(config: Config, folder: Path, say: Callable[[str], object]) -> Watch:
    """Bits per byte of the shortest held-out answers, and what is answered to the prompts."""
    tokens = folder / "tokens"
    tokenizer, vocabulary, chat = load_tokenizer(tokens), load_vocabulary(tokens), load_chat(tokens)
    assert chat is not None  # the stage before has put it there
    asked = read_answers(read_documents(folder / "documents", "validation"), chat)
    few = [asked[n] for n in _few([len(one.better.tokens) for one in asked], config.evaluate.tokens_while_training)]
    return watching(
        lambda model: Speaker(model, tokenizer, vocabulary, chat),
        lambda model: float(evaluate_answers(model, few).report["total"]),
        config,
        say,
    )


def _watch_labels(config: Config, folder: Path, say: Callable[[str], object]) -> Watch:
    """Bits per byte of the shortest held-out examples, and what is said of the first of them."""
    tokens = folder / "tokens"
    marker = Marker(load_tokenizer(tokens), load_vocabulary(tokens), read_labels(tokens))
    judged = judge_all(read_labelled(read_documents(folder / "documents", "validation")), marker)
    few = [judged[n] for n in _few([len(one.marked.tokens) for one in judged], config.evaluate.tokens_while_training)]

    def watch(model: LanguageModel, step: int) -> Mapping[str, Any]:
        assert isinstance(model, Labeller)
        report, said = evaluate_labels(model, few)
        line = few[0].shown(said[0].labels)
        say(f"step {step:>5}  {' '.join(printable(line).split())[:100]}")
        return {"bits_per_byte": report["total"], "samples": [line]}

    return watch


def watching(
    speaker: Callable[[LanguageModel], Speaker], score: Callable[[LanguageModel], float], config: Config,
    say: Callable[[str], object],
) -> Watch:  # fmt: skip
    """Scores and samples: how they are made is the caller's."""

    def watch(model: LanguageModel, step: int) -> Mapping[str, Any]:
        sampling = Sampling(max_tokens=40, seed=config.run.seed)
        lines = [speaker(model).say(prompt, sampling) for prompt in config.run.prompts]
        for line in lines:
            say(f"step {step:>5}  {' '.join(printable(line).split())[:100]}")
        return {"bits_per_byte": score(model), "samples": lines}

    return watch


def _few(lengths: list[int], tokens: int) -> list[int]:
    """The numbers of the shortest texts of these lengths, up to so many tokens in all and at least one."""
    order = np.argsort(lengths, kind="stable")
    total = np.cumsum(np.asarray(lengths)[order])
    return [int(number) for number in order[: max(1, int((total <= tokens).sum()))]]
