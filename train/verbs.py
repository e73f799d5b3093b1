"""What each word after `python -m train` does: its arguments, the call, the answer. Heavy imports wait in the verbs."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_RUN_HELP = """python -m train +experiment=NAME [group=choice] [group.key=value ...]

Run the recipe: documents -> tokens -> training -> evaluation -> release. The release is left in runs/NAME/release/.
The same command again goes on with what was interrupted.

  --config      print the resolved config and stop
  --json FILE   write the release's release.json to FILE as well
  --help        this text

Some keys: run.name=... optim.steps=... model.n_layers=... run.precision=auto|float32|bfloat16
run.compile=auto|blocks|none run.threads=N parallel.sequences_per_device=N logger=wandb
model=gpt2|llama|falcon|bloom|bert|t5|xlnet (docs/families.md)
data=files data.sources.files.path=FOLDER data.exclude.authors='[Andrew Jackson]'
"""


def run(words: list[str]) -> int:
    """The recipe: what is no verb is a run."""
    if "--help" in words or "-h" in words:
        print(_RUN_HELP)
        return 0
    json_file = _take(words, "--json")
    show = "--config" in words
    from train.config import compose, public, resolved, to_yaml

    config = compose([word for word in words if word != "--config"])
    if show:
        print(to_yaml(public(resolved(config))))
        return 0
    return _follow(config, json_file)


def _follow(config: Any, json_file: str | None) -> int:
    """Run the recipe of this config to its release."""
    from train.recipe import Stopped, run_recipe
    from train.release import describe
    from train.training import help_training

    try:
        if int(os.environ.get("RANK", "0")):
            help_training(config)
            return 0
        record = run_recipe(config)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.code
    folder = Path(config.run.folder) / config.run.name / "release"
    _write_json(json_file, record)
    print(describe(record, folder))
    return 0


def _take(words: list[str], option: str) -> str | None:
    """Remove `option VALUE` or `option=VALUE` from the words; returns the value."""
    from train.records import BadInput

    for place, word in enumerate(words):
        if word.startswith(f"{option}="):
            return words.pop(place).partition("=")[2]
        if word == option:
            if place + 1 == len(words):
                raise BadInput(f"{option} needs the name of a file")
            words.pop(place)
            return words.pop(place)
    return None


def _write_json(path: str | None, value: object) -> None:
    if path is not None:
        from train.records import write_json

        write_json(Path(path), value)


def _fetch(words: list[str]) -> int:
    if "--help" in words or "-h" in words or not words:
        print("python -m train fetch +experiment=NAME [...]\n\nBring what the run needs from the network into cache/.")
        return 0 if words else 2
    json_file = _take(words, "--json")
    from train.config import compose
    from train.recipe import fetch_for

    fetched = [str(path) for path in fetch_for(compose(words))]
    _write_json(json_file, fetched)
    print("\n".join(fetched) or "nothing to fetch beforehand")
    return 0


def _parser(verb: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m train {verb}", description=description)
    parser.add_argument("release", metavar="RELEASE", type=Path, help="the folder of a release")
    parser.add_argument("--json", metavar="FILE", help="write the answer to FILE, for a program")
    return parser


def _generate(words: list[str]) -> int:
    parser = _parser("generate", "Text from a release.")
    parser.add_argument("prompt", help="how the text begins")
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token each time")
    parser.add_argument("--top-k", type=int, default=50, help="draw from the K likeliest tokens; 0 from all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    from train.sample import Sampling, speak

    sampling = Sampling(max_tokens=given.max_tokens, temperature=given.temperature, top_k=given.top_k, seed=given.seed)
    text = speak(given.release, given.prompt, sampling)
    _write_json(given.json, {"prompt": given.prompt, "text": text, "seed": given.seed})
    print("".join(char if char.isprintable() or char in "\n\t" else "�" for char in text))
    return 0


def _evaluate(words: list[str]) -> int:
    parser = _parser("evaluate", "Measure a release's bits per byte again, and compare with what it states.")
    given = parser.parse_args(words)
    from train.evaluate import measure_again

    answer = measure_again(given.release)
    _write_json(given.json, answer)
    print(json.dumps(answer, indent=2))
    return 0 if answer["same"] else 1


def _trace(words: list[str]) -> int:
    parser = _parser(
        "trace", "Which training documents hold these words, who wrote them, and at which steps they were seen."
    )
    parser.add_argument("text", nargs="?", help="the words to look for")
    parser.add_argument("--file", type=Path, help="the words are in this file")
    parser.add_argument("--generate", metavar="PROMPT", help="look for what the model makes of PROMPT")
    parser.add_argument("--author", help="all training documents of an author")
    parser.add_argument("--at-least", type=int, default=8, metavar="N", help="passages of N tokens or more (8)")
    parser.add_argument("--most", type=int, default=10, metavar="N", help="show the N longest passages (10)")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where the index is kept (cache/)")
    given = parser.parse_intermixed_args(words)
    if sum(asked is not None for asked in (given.text, given.file, given.generate, given.author)) != 1:
        parser.error("give one of: the words, --file, --generate, --author")
    from train.libre import open_trace, render, render_author, text_of
    from train.sample import Sampling, speak

    trace = open_trace(given.release, given.cache)
    if given.author is not None:
        sources = trace.author(given.author)
        _write_json(given.json, [vars(source) for source in sources])
        print(render_author(given.author, sources, trace.authors()))
        return 0 if sources else 1
    text = given.text if given.file is None else text_of(given.file)
    if given.generate is not None:
        text = speak(given.release, given.generate, Sampling())
        print(f"generated: {' '.join(text.split())}\n")
    answer = trace.text(text, given.at_least, given.most)
    _write_json(given.json, answer.record())
    print(render(answer))
    return 0 if answer.passages else 1


_PLAN_HELP = """python -m train plan +experiment=NAME [group.key=value ...]

Parameters, tokens, operations, memory, hours, electricity and money of a run, before it is spent.

  --machine NAME   laptop, a100, h100x8, or a YAML file with the same keys; without it all of these, and this machine,
                   whose speed is measured on a few steps
  --budget SUM     2h, 30min or 50eur: the best Llama that this affords, as words ready to paste
  --json FILE      write the answer to FILE as well
"""


def _plan(words: list[str]) -> int:
    if "--help" in words or "-h" in words or not words:
        print(_PLAN_HELP)
        return 0 if words else 2
    json_file, name, budget = (_take(words, option) for option in ("--json", "--machine", "--budget"))
    from train.config import compose
    from train.plan import Needs, afford, estimate, find_machine, machine_here, machines, render

    config = compose(words)
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels)
    asked = (
        [find_machine(name)]
        if name
        else [
            machine_here(needs, config.run, config.precision),
            *([] if budget or config.numerics.exact else machines()),
        ]
    )
    found, pasted = (estimate(needs), []) if budget is None else afford(needs, asked[0].affords(budget))
    prices = [machine.price(found.flops).record() for machine in asked]
    _write_json(json_file, {**found.record(), "machines": prices, "overrides": pasted})
    print(render(found, asked, pasted and [*words, *pasted]))
    if config.numerics.exact:
        print("\nnumerics=exact computes in float64; the speeds of machines with a name are for bf16 and do not apply.")
    return 0


def _audit(words: list[str]) -> int:
    parser = _parser(
        "audit", "Is this release free in practice? Ours, or any folder in Hugging Face's format. Offline."
    )
    parser.add_argument("--expect", default="", metavar="DIGEST", help="the digest that its publisher told elsewhere")
    parser.add_argument("--key", default="", metavar="ed25519:...", help="the key that its publisher told elsewhere")
    parser.add_argument(
        "--base",
        action="append",
        default=[],
        type=Path,
        metavar="RELEASE",
        help="what it was made from, then what that was",
    )
    parser.add_argument("--attest", default="", metavar="NAME", help="write the answer into attest/audits/, as NAME")
    parser.add_argument("--sign", default="", metavar="KEY", help="sign it with this private key (PEM)")
    given = parser.parse_args(words)
    from train.libre import attest, audit, render_audit
    from train.run import progress

    with progress("audit", 0, "check") as bar:
        found = audit(given.release, given.expect, lambda _: bar.update(1), given.base, given.key)
    _write_json(given.json, found.record())
    print(render_audit(found))
    if given.attest:
        print(f"\nSaid in {attest(given.release, found, given.attest, given.sign)}")
    return 1 if found.failed else 0


def _rebuild(words: list[str]) -> int:
    parser = _parser("rebuild", "Make a release again from what is in its folder, offline, and compare bit for bit.")
    parser.add_argument("--level", choices=["R1", "R2", "R3"], default="R1", help="R1 inputs, R2 parts, R3 the whole")
    parser.add_argument("--segments", type=int, default=3, metavar="K", help="R2: how many parts, drawn by chance (3)")
    parser.add_argument("--builder", default="not named", metavar="NAME", help="who remakes it, for the statement")
    parser.add_argument("--sign", default="", metavar="KEY", help="sign the statement with this private key (PEM)")
    parser.add_argument("--trust-code", action="store_true", help="run the program in the release, if it is another")
    given = parser.parse_args(words)
    from train.libre import rebuild, run_their_program
    from train.run import say

    if given.trust_code:
        asked = ["--level", given.level, "--segments", str(given.segments), "--builder", given.builder]
        files = [("--json", given.json), ("--sign", given.sign)]
        asked += [word for option, file in files if file for word in (option, str(Path(file).resolve()))]
        return run_their_program(given.release, asked)
    found = rebuild(given.release, given.level, given.segments, given.builder, given.sign, say)
    _write_json(given.json, vars(found))
    print(found.render())
    return 0 if found.identical or found.level == "R≈" else 1


def _remake(words: list[str]) -> int:
    parser = _parser("remake", "A new release from an old one: without some texts, or with other choices. Offline.")
    parser.add_argument("changes", nargs="*", metavar="group.key=value", help="what to change in its recipe")
    parser.add_argument("--without", action="append", default=[], metavar="author=NAME", help="or title=, id=, source=")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the new run; its release is DIR/release"
    )
    parser.add_argument("--why", default="no reason was given", help="for the new release's card")
    given = parser.parse_intermixed_args(words)
    from train.libre import remake

    return _follow(remake(given.release, given.out, given.without, given.changes, given.why), given.json)


def _withdraw(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m train withdraw",
        description="A text may no longer be used: it leaves every release that holds it, and its digest stays.",
    )
    parser.add_argument("releases", nargs="+", metavar="RELEASE", type=Path, help="a release, and those made from it")
    parser.add_argument("--text", action="append", required=True, metavar="id=ID", help="or author=, title=, sha256=")
    parser.add_argument("--why", required=True, help="for the statement, which everybody can read")
    parser.add_argument("--by", default="not named", metavar="NAME", help="who asked for it, for the statement")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where indexes are kept (cache/)")
    parser.add_argument("--json", metavar="FILE", help="write the answer to FILE, for a program")
    given = parser.parse_intermixed_args(words)
    from train.libre import withdraw

    found = withdraw(given.releases, given.text, given.why, given.by, given.cache)
    _write_json(given.json, [one.record() for one in found])
    print("\n".join(one.render() for one in found))
    return 0


def _compare(words: list[str]) -> int:
    parser = _parser("compare", "Two releases side by side: ingredients, choices, cost, scores, what each left out.")
    parser.add_argument("other", metavar="RELEASE", type=Path, help="the folder of another")
    given = parser.parse_args(words)
    from train.libre import compare, render_comparison

    found = compare(given.release, given.other)
    _write_json(given.json, found)
    print(render_comparison(found))
    return 0


VERBS: dict[str, Callable[[list[str]], int]] = {
    "fetch": _fetch,
    "generate": _generate,
    "evaluate": _evaluate,
    "plan": _plan,
    "audit": _audit,
    "rebuild": _rebuild,
    "remake": _remake,
    "withdraw": _withdraw,
    "trace": _trace,
    "compare": _compare,
}
