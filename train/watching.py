"""What is looked at while a model is trained: bits per byte of a few held-out texts, and what it says to prompts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.batches import build_objective
from train.config import Config
from train.documents import read_documents
from train.evaluate import Text, evaluate_texts, read_texts
from train.model import LanguageModel
from train.records import printable
from train.sample import Sampling, Speaker
from train.tokens import TokenStore, load_tokenizer, load_vocabulary

Watch = Callable[[LanguageModel, int], Mapping[str, Any]]


def watch_with(config: Config, folder: Path, say: Callable[[str], object]) -> Watch:
    """The `watch` of a training whose documents and tokens are in `folder`; it tells samples by `say`."""
    vocabulary, tokenizer = load_vocabulary(folder / "tokens"), load_tokenizer(folder / "tokens")
    objective = build_objective(config.objective, vocabulary)
    texts = read_texts(TokenStore(folder / "tokens", "validation"), read_documents(folder / "documents", "validation"))
    few = _few(texts, config.evaluate.tokens_while_training)

    return watching(
        lambda model: Speaker(model, tokenizer, vocabulary),
        lambda model: float(evaluate_texts(model, objective, few, config.evaluate).report["total"]),
        config,
        say,
    )


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


def _few(texts: list[Text], tokens: int) -> list[Text]:
    """The shortest of the held-out documents, up to so many tokens and at least one."""
    by_length = sorted(texts, key=lambda text: len(text.tokens))
    total = np.cumsum([len(text.tokens) for text in by_length])
    return by_length[: max(1, int((total <= tokens).sum()))]
