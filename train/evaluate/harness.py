"""The door to lm-eval (Gao et al., "The Language Model Evaluation Harness"): our model behind its interface.

Its tasks are files of its package, by name, or files of one's own (a path that ends in .yaml). A task may bring Python
of its own: lm-eval's are the package's; one's own are run as one wrote them. Their data come by `datasets`, from disk
or from the Hub.
"""

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval import __version__, simple_evaluate
from lm_eval.api.model import LM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from train.evaluate.likelihood import log_likelihoods
from train.evaluate.reader import Reader
from train.evaluate.results import LookUp, Score, TaskResult
from train.records import BadInput, digest_rows, printable
from train.sample import Sampling, new_tokens

_BOOTSTRAP = 1000  # draws, for metrics whose error has no closed form
_MOST = 256  # tokens of an answer, where the task does not say; as its `hf` model does
_CHOSEN = ("acc", "acc_norm")  # metrics that count the questions whose right choice was taken


class Asked(LM):  # type: ignore[misc]
    """A model of ours as lm-eval asks it. What a batch holds changes no answer: nothing is padded."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log p of the continuation, whether it is the model's own) of each (context, continuation)."""
        return self._reader.judge([request.args for request in requests])

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """log p of each text: every token once, in windows that its `hf` model would read."""
        reader, pairs, whose = self._reader, [], []
        for number, request in enumerate(requests):
            tokens = reader.encode(request.args[0])
            windows = get_rolling_token_windows(tokens, reader.first, reader.model.config.seq_len, 1)
            for context, continuation in map(make_disjoint_window, windows):
                pairs.append((np.array(context, np.int64), np.array(continuation, np.int64)))
                whose.append(number)
        totals = [0.0] * len(requests)
        for number, (found, _) in zip(whose, log_likelihoods(reader.model, pairs, reader.batch_size), strict=True):
            totals[number] += found
        return totals

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model says after each context, the likeliest token each time, up to where the task stops it."""
        return [self._go_on(*request.args) for request in requests]

    def _go_on(self, context: str, wishes: dict[str, Any]) -> str:
        reader, end = self._reader, self._reader.vocabulary.need("end")
        asked = normalize_gen_kwargs(wishes, _MOST)
        if asked["do_sample"] or asked.get("num_beams", 1) > 1:
            raise BadInput("a task that draws its answers, or searches for them, is not asked here: the likeliest is")
        stops = [stop for stop in handle_stop_sequences(asked["until"], reader.tokenizer.id_to_token(end)) if stop]
        most, length = int(asked["max_gen_toks"]), reader.model.config.seq_len
        given = reader.encode(context)[-max(length - most, length // 2, 1) :] or [reader.first]
        said: list[int] = []
        text = ""
        sampling = Sampling(max_tokens=most, temperature=0.0)
        for token in new_tokens(reader.model, given, end, sampling, reader.vocabulary.size):
            said.append(token)
            text = str(reader.tokenizer.decode(said))
            if any(stop in text for stop in stops):
                break
        return str(postprocess_generated_text(text, stops, None))


@cache
def _manager(all_tasks: bool) -> TaskManager:
    """What knows lm-eval's tasks; to read the names of all takes seconds."""
    return TaskManager(include_defaults=all_tasks)


def find(tasks: Sequence[str]) -> TaskManager:
    """What knows these tasks. Raises BadInput, with names like it, if one is neither lm-eval's nor a file."""
    named = [task for task in tasks if not (Path(task).suffix == ".yaml" and Path(task).is_file())]
    manager = _manager(bool(named))
    if unknown := [task for task in named if task not in manager.task_index]:
        near = ", ".join(get_close_matches(unknown[0], manager.all_tasks, 3, 0.5)) or "python -m lm_eval ls tasks"
        raise BadInput(f"{printable(unknown[0])}: lm-eval has no such task, and there is no such .yaml file; {near}")
    return manager


def ask(reader: Reader, tasks: Sequence[str], limit: int, look_up: LookUp) -> list[TaskResult]:
    """The scores on these tasks, and on those that they are groups of."""
    manager = find(tasks)
    reader.model.eval()
    os.environ["DISABLE_MULTIPROC"] = "1"  # our draws are one piece of its work, and a fork told to end may never do so
    try:
        found = simple_evaluate(
            Asked(reader), tasks=list(tasks), limit=limit or None, task_manager=manager, bootstrap_iters=_BOOTSTRAP
        )
    except BadInput:
        raise
    except (OSError, ValueError, KeyError, ImportError) as error:  # no network, data that are not there, a package
        raise BadInput(f"{', '.join(map(printable, tasks))}: lm-eval could not ask ({error})") from error
    assert found is not None
    return [_result(name, found, limit, look_up) for name in found["n-samples"]]


def _result(name: str, found: dict[str, Any], limit: int, look_up: LookUp) -> TaskResult:
    rows, better = found["results"][name], found["higher_is_better"].get(name, {})
    asked, scores = found["samples"][name], {}
    chance = _chance(found["configs"][name], asked)
    for key, value in rows.items():
        metric, comma, kind = key.partition(",")
        if comma and not metric.endswith("_stderr") and (number := _finite(value)) is not None:
            stderr = _finite(rows.get(f"{metric}_stderr,{kind}"))
            by_chance = chance if metric in _CHOSEN else None
            scores[metric if kind == "none" else key] = Score(number, stderr, by_chance, better.get(metric))
    counts = found["n-samples"][name]
    return TaskResult(
        task=name,
        program=f"lm-eval {__version__}",
        version=str(found["versions"][name]),
        set=digest_rows(sample["doc_hash"] for sample in asked),
        questions=int(counts["effective"]),
        of=int(counts["original"]),
        limit=limit,
        shots=int(found["n-shot"].get(name, 0)),
        authors=(),
        overlap=look_up("".join(map(_text, put)) for sample in asked for put in sample["arguments"]),
        scores=scores,
    )


def _text(part: object) -> str:
    """A part of a request, where it is text: a context, or what goes on after it."""
    return part if isinstance(part, str) else ""


def _chance(config: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> float | None:
    """How often the right choice is drawn blindly; None where nothing is chosen, where several choices may be right,
    or where the task counts in its own way."""
    aggregations = {metric.get("aggregation", "mean") for metric in config.get("metric_list", [])}
    plain = config["output_type"] == "multiple_choice" and "process_results" not in config and aggregations <= {"mean"}
    if not plain or any(isinstance(one["target"], list) or "acc_mutual_info" in one["metrics"] for one in asked):
        return None
    return statistics.fmean(1 / len(one["arguments"]) for one in asked)


def _finite(value: object) -> float | None:
    """None where lm-eval says "N/A", or that it does not know (nan)."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
