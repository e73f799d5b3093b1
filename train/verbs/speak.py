"""Text from a release, and how good it is."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from train.verbs.words import add_bases, parser_of, write_json

if TYPE_CHECKING:
    from train.sample import Sampling


def generate(words: list[str]) -> int:
    """Text from a release."""
    parser = parser_of("generate", "Text from a release.")
    parser.add_argument("prompt", help="how the text begins")
    _add_sampling(parser)
    given = parser.parse_args(words)
    from train.records import printable_lines
    from train.sample import speak

    sampling = _sampling(given)
    prompt = given.prompt.encode("utf-8", "replace").decode()  # a command line may bring half a character
    text = speak(given.release, prompt, sampling)
    write_json(given.json, {"prompt": prompt, "text": text, "seed": given.seed})
    print(printable_lines(text))
    return 0


def chat(words: list[str]) -> int:
    """A page or a terminal to ask a model on."""
    parser = parser_of(
        "chat",
        "A page on this machine (and an endpoint for programs that speak OpenAI's format) to ask a model on: what it "
        "answers, how sure it was, and which training passages stand in the answer.",
    )
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="of 127.0.0.1 (8000); 0 takes a free one")
    parser.add_argument("--terminal", action="store_true", help="in this terminal, without a page")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where the index is kept (cache/)")
    add_bases(parser)
    _add_sampling(parser)
    given = parser.parse_args(words)
    from train.serve import open_release, serve, talk

    opened = open_release(given.release, given.cache, _sampling(given), given.base)
    if given.terminal:
        write_json(given.json, talk(opened))
        return 0
    return serve(opened, given.port, lambda address: write_json(given.json, address))


def evaluate(words: list[str]) -> int:
    """Measure a release again, or ask it tasks."""
    parser = parser_of(
        "evaluate",
        "Measure a release's bits per byte again, and compare with what it states; or, with --tasks, ask it tasks.",
    )
    parser.add_argument("--tasks", metavar="A,B", help="lm-eval's by name or .yaml file, BIG-bench's as bigbench:NAME")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="of each task the first N questions (all)")
    parser.add_argument("--by", default="not named", metavar="NAME", help="who asks, for the statement")
    parser.add_argument("--sign", default="", metavar="KEY", help="sign the statement with this private key (PEM)")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where task files are kept (cache/)")
    given = parser.parse_args(words)
    if given.tasks is not None:
        return _ask(given)
    from train.evaluate import measure_again

    answer = measure_again(given.release)
    write_json(given.json, answer)
    print(json.dumps(answer, indent=2))
    return 0 if answer["same"] else 1


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token each time")
    parser.add_argument("--top-k", type=int, default=50, help="draw from the K likeliest tokens; 0 from all")
    parser.add_argument("--seed", type=int, default=0)


def _sampling(given: argparse.Namespace) -> "Sampling":
    from train.sample import Sampling

    return Sampling(max_tokens=given.max_tokens, temperature=given.temperature, top_k=given.top_k, seed=given.seed)


def _ask(given: argparse.Namespace) -> int:
    from train.libre import examine
    from train.records import BadInput

    tasks = [task for task in given.tasks.split(",") if task]
    if not tasks or given.limit < 0:
        raise BadInput("--tasks takes names with commas between them, --limit a number of questions")
    found = examine(given.release, tasks, given.limit, given.cache, given.by, given.sign)
    write_json(given.json, found.record())
    print(found.render())
    return 0
