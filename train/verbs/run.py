"""The recipe, and what it needs from the network."""

import sys
from pathlib import Path
from typing import Any

from train.verbs.words import take, take_json, wants_help, write_json

_RUN_HELP = """python -m train +experiment=NAME [group=choice] [group.key=value ...]

Run the recipe: documents -> tokens -> training -> evaluation -> release. The release is left in runs/NAME/release/.
The same command again goes on with what was interrupted.

  --config      print the resolved config and stop
  --json FILE   write the release's release.json to FILE as well
  --help        this text

Some keys: run.name=... optim.steps=... model.n_layers=... run.precision=auto|float32|bfloat16|float8
run.compile=auto|blocks|none run.threads=N parallel.sequences_per_device=N logger=wandb
model=gpt2|llama|falcon|bloom|bert|t5|xlnet (docs/families.md)
data=files data.sources.files.path=FOLDER data.exclude.authors='[Andrew Jackson]'
tune=sft|lora|dpo|tag|classify|extract tune.from=FOLDER (docs/fine-tuning.md)
"""


def run(words: list[str]) -> int:
    """The recipe: what is no verb is a run."""
    if "--help" in words or "-h" in words:
        print(_RUN_HELP)
        return 0
    json_file = take_json(words)
    show = "--config" in words
    from train.config import compose, public, resolved, to_yaml

    config = compose([word for word in words if word != "--config"])
    if show:
        print(to_yaml(public(resolved(config))))
        return 0
    return follow(config, json_file)


def follow(config: Any, json_file: str | None) -> int:
    """Run the recipe of this config to its release."""
    from train.cluster import Lost, find_place, rank_log, use_caches

    place, folder = find_place(), Path(config.run.folder) / config.run.name
    use_caches(Path(config.data.cache))
    from train.recipe import Stopped, run_recipe
    from train.release import describe
    from train.training import help_training

    with rank_log(folder, place):
        try:
            if not place.first:
                help_training(config)
                return 0
            record = run_recipe(config)
        except (Stopped, Lost) as ended:
            if place.first or isinstance(ended, Lost):
                print(ended, file=sys.stderr)
            return ended.code
        write_json(json_file, record)
        print(describe(record, folder / "release"))
    return 0


_FETCH_HELP = """python -m train fetch +experiment=NAME [...]

Bring what the run needs from the network into cache/, and say where it lies.

  --json FILE      write the names to FILE as well
"""


def fetch(words: list[str]) -> int:
    """Bring here what a run will need from the network."""
    if wants_help("fetch", words, _FETCH_HELP):
        return 0
    json_file = take_json(words)
    from train.cluster import use_caches
    from train.config import compose
    from train.recipe import fetch_for

    config = compose(words)
    use_caches(Path(config.data.cache))
    fetched = [str(path) for path in fetch_for(config)]
    write_json(json_file, fetched)
    print("\n".join(fetched) or "nothing to fetch beforehand")
    return 0


_PREPARE_HELP = """python -m train prepare --part I --of N +experiment=NAME [...]

Read and judge one of N shares of the corpus's documents, I counting from 0: for an array of jobs (slurm/corpus.sbatch),
where one process would take hours. Parts are written into cache/parts/. When all are there, a run with the same data
puts them together: the same documents, in the same order, with the same digest as if it had judged them itself.
A part that is there is not done again.

  --json FILE      write the name of the part to FILE as well
"""


def prepare(words: list[str]) -> int:
    """A share of the corpus."""
    if wants_help("prepare", words, _PREPARE_HELP):
        return 0
    json_file, numbers = take_json(words), [take(words, option) for option in ("--part", "--of")]
    from train.cluster import use_caches
    from train.config import compose
    from train.recipe import prepare as prepare_share
    from train.records import BadInput

    if not all(number and number.isdecimal() for number in numbers):
        raise BadInput("prepare needs --part I --of N, two numbers")
    config = compose(words)
    use_caches(Path(config.data.cache))
    write_json(json_file, str(prepare_share(config, *(int(number or 0) for number in numbers))))
    return 0
