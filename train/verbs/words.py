"""The words after a verb: options, and the answer for a program."""

import argparse
from pathlib import Path
from typing import NoReturn


def take(words: list[str], option: str) -> str | None:
    """Remove `option VALUE` or `option=VALUE` from the words; returns the value."""
    from train.records import BadInput

    for place, word in enumerate(words):
        if word.startswith(f"{option}="):
            return words.pop(place).partition("=")[2]
        if word == option:
            if place + 1 == len(words):
                raise BadInput(f"{option} needs a word after it (--help says which)")
            words.pop(place)
            return words.pop(place)
    return None


def take_json(words: list[str]) -> str | None:
    """Remove `--json FILE` from the words; returns the file. Raises BadInput if it cannot be one."""
    from train.records import BadInput

    path = take(words, "--json")
    try:
        return path if path is None else _answer_file(path)
    except argparse.ArgumentTypeError as error:
        raise BadInput(f"argument --json: {error}") from error


def _answer_file(path: str) -> str:
    """A file that an answer can be written to: looked at before hours are spent on the answer."""
    there = Path(path).absolute()
    if not path or there.is_dir() or not next(one for one in there.parents if one.exists()).is_dir():
        raise argparse.ArgumentTypeError(f"{path!r} is no file that can be written")
    return path


def wants_help(verb: str, words: list[str], text: str) -> bool:
    """Whether help was asked for; it is then printed. Raises BadInput if there are no words at all."""
    from train.records import BadInput

    if not words:
        raise BadInput(f"{verb}: which +experiment=NAME? python -m train {verb} --help says more")
    asked = "--help" in words or "-h" in words
    if asked:
        print(text)
    return asked


def write_json(path: str | None, value: object) -> None:
    """Write an answer for a program to `path`, if one was given."""
    if path is not None:
        from train import records

        records.write_json(Path(path), value)


class Parser(argparse.ArgumentParser):
    """The words after `python -m train VERB`, --json among them; what is wrong with them is one line, as everywhere."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"python -m train {verb}", description=description)
        self.add_argument("--json", metavar="FILE", type=_answer_file, help="write the answer to FILE, for a program")

    def error(self, message: str) -> NoReturn:
        """Raises BadInput."""
        from train.records import BadInput

        raise BadInput(f"{message} ({self.prog} --help says more)")


def parser_of(verb: str, description: str) -> argparse.ArgumentParser:
    """The words of a verb that is asked of a release."""
    parser = Parser(verb, description)
    parser.add_argument("release", metavar="RELEASE", type=Path, help="the folder of a release")
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
