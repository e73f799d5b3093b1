"""The freedoms as verbs: to know what went in, to make it again, to make it otherwise."""

import sys
from pathlib import Path

from train.verbs.run import follow
from train.verbs.words import Parser, add_bases, parser_of, write_json


def trace(words: list[str]) -> int:
    """Whose words stand in a text."""
    parser = parser_of(
        "trace", "Which training documents hold these words, who wrote them, and at which steps they were seen."
    )
    parser.add_argument("text", nargs="?", help="the words to look for")
    parser.add_argument("--file", type=Path, help="the words are in this file")
    parser.add_argument("--generate", metavar="PROMPT", help="look for what the model makes of PROMPT")
    parser.add_argument("--author", help="all training documents of an author")
    parser.add_argument(
        "--at-least", type=int, metavar="N", help="passages of N tokens or more (8, or all of a shorter text)"
    )
    parser.add_argument("--most", type=int, default=10, metavar="N", help="show the N longest passages (10)")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where the index is kept (cache/)")
    add_bases(parser)
    given = parser.parse_intermixed_args(words)
    if sum(asked is not None for asked in (given.text, given.file, given.generate, given.author)) != 1:
        parser.error("give one of: the words, --file, --generate, --author")
    from train.libre import open_trace, render, render_author, text_of
    from train.records import printable
    from train.sample import Sampling, speak

    trace = open_trace(given.release, given.cache, given.base)
    if given.author is not None:
        sources = trace.author(given.author)
        write_json(given.json, [vars(source) for source in sources])
        print(render_author(given.author, trace))
        return 0 if sources else 1
    text = given.text if given.file is None else text_of(given.file)
    if given.generate is not None:
        text = speak(given.release, given.generate, Sampling())
        print(f"generated: {printable(' '.join(text.split()))}\n")
    answer = trace.text(text, given.at_least, given.most)
    write_json(given.json, answer.record())
    print(render(answer))
    return 0 if answer.passages else 1


def audit(words: list[str]) -> int:
    """Is it free in practice?"""
    parser = parser_of(
        "audit", "Is this release free in practice? Ours, or any folder in Hugging Face's format. Offline."
    )
    parser.add_argument("--expect", default="", metavar="DIGEST", help="the digest that its publisher told elsewhere")
    parser.add_argument("--key", default="", metavar="ed25519:...", help="the key that its publisher told elsewhere")
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="ed25519:...",
        help="the key of one who says that they have remade it, and whom you believe",
    )
    add_bases(parser)
    parser.add_argument("--attest", default="", metavar="NAME", help="write the answer into attest/audits/, as NAME")
    parser.add_argument("--sign", default="", metavar="KEY", help="sign it with this private key (PEM)")
    given = parser.parse_args(words)
    from train.libre import attest, audit, render_audit
    from train.run import progress

    with progress("audit", 0, "check") as bar:
        found = audit(given.release, given.expect, lambda _: bar.update(1), given.base, given.key, given.witness)
    write_json(given.json, found.record())
    print(render_audit(found))
    if given.attest:
        print(f"\nSaid in {attest(given.release, found, given.attest, given.sign)}")
    return 1 if found.failed else 0


def rebuild(words: list[str]) -> int:
    """Make it again and compare."""
    parser = parser_of("rebuild", "Make a release again from what is in its folder, offline, and compare bit for bit.")
    parser.add_argument("--level", choices=["R1", "R2", "R3"], default="R1", help="R1 inputs, R2 parts, R3 the whole")
    parser.add_argument("--segments", type=int, default=3, metavar="K", help="R2: how many parts, drawn by chance (3)")
    parser.add_argument("--builder", default="not named", metavar="NAME", help="who remakes it, for the statement")
    parser.add_argument("--sign", default="", metavar="KEY", help="sign the statement with this private key (PEM)")
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="the model that it was tuned from, if it was")
    parser.add_argument("--trust-code", action="store_true", help="run the program in the release, if it is another")
    given = parser.parse_args(words)
    from train.libre import is_made_by_this, rebuild, run_their_program
    from train.run import Stopped, say

    if given.trust_code and not is_made_by_this(given.release):
        asked = ["--level", given.level, "--segments", str(given.segments), "--builder", given.builder]
        files = [("--json", given.json), ("--sign", given.sign), ("--base", given.base)]
        asked += [word for option, file in files if file for word in (option, str(Path(file).resolve()))]
        return run_their_program(given.release, asked)
    try:
        found = rebuild(given.release, given.level, given.segments, given.builder, given.sign, say, given.base)
    except Stopped as stopped:
        print(f"stopped by {stopped.name}; nothing was written, and the same command begins anew", file=sys.stderr)
        return stopped.code
    write_json(given.json, vars(found))
    print(found.render())
    return 0 if found.identical or found.level == "R≈" else 1


def remake(words: list[str]) -> int:
    """Make it otherwise."""
    parser = parser_of("remake", "A new release from an old one: without some texts, or with other choices. Offline.")
    parser.add_argument("changes", nargs="*", metavar="group.key=value", help="what to change in its recipe")
    parser.add_argument("--without", action="append", default=[], metavar="author=NAME", help="or title=, id=, source=")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the new run; its release is DIR/release"
    )
    parser.add_argument("--why", default="no reason was given", help="for the new release's card")
    given = parser.parse_intermixed_args(words)
    from train.libre import remake

    return follow(remake(given.release, given.out, given.without, given.changes, given.why), given.json)


def withdraw(words: list[str]) -> int:
    """Take a text out."""
    parser = Parser(
        "withdraw", "A text may no longer be used: it leaves every release that holds it, its digest stays."
    )
    parser.add_argument("releases", nargs="+", metavar="RELEASE", type=Path, help="a release, and those made from it")
    parser.add_argument("--text", action="append", required=True, metavar="id=ID", help="or author=, title=, sha256=")
    parser.add_argument("--why", required=True, help="for the statement, which everybody can read")
    parser.add_argument("--by", default="not named", metavar="NAME", help="who asked for it, for the statement")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="where indexes are kept (cache/)")
    given = parser.parse_intermixed_args(words)
    from train.libre import withdraw

    found = withdraw(given.releases, given.text, given.why, given.by, given.cache)
    write_json(given.json, [one.record() for one in found])
    print("\n".join(one.render() for one in found))
    return 0


def compare(words: list[str]) -> int:
    """Two releases side by side."""
    parser = parser_of("compare", "Two releases side by side: ingredients, choices, cost, scores, what each left out.")
    parser.add_argument("other", metavar="RELEASE", type=Path, help="the folder of another")
    given = parser.parse_args(words)
    from train.libre import compare, render_comparison

    found = compare(given.release, given.other)
    write_json(given.json, found)
    print(render_comparison(found))
    return 0
