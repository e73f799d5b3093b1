"""The words after a verb: options, and the answer for a program."""

import argparse
from pathlib import Path


def take(words: list[str], option: str) -> str | None:
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


def write_json(path: str | None, value: object) -> None:
    """Write an answer for a program to `path`, if one was given."""
    if path is not None:
        from train import records

        records.write_json(Path(path), value)


def parser_of(verb: str, description: str) -> argparse.ArgumentParser:
    """The words of a verb that is asked of a release: RELEASE and --json."""
    parser = argparse.ArgumentParser(prog=f"python -m train {verb}", description=description)
    parser.add_argument("release", metavar="RELEASE", type=Path, help="the folder of a release")
    parser.add_argument("--json", metavar="FILE", help="write the answer to FILE, for a program")
    return parser


def add_bases(parser: argparse.ArgumentParser) -> None:
    """The models that a release was made from: --base, as often as there are."""
    parser.add_argument(
        "--base",
        action="append",
        default=[],
        type=Path,
        metavar="RELEASE",
        help="what it was made from, then what that was",
    )
