"""The front door: finds the verb, nothing else. Heavy imports wait until the verb is known."""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

GARBAGE = 100_000, 50, 100  # what is imported and traced stays: looking for garbage in it is a sixth of a start
_ASKED_OF_RELEASES = {"audit", "chat", "compare", "evaluate", "generate", "rebuild", "remake", "trace", "withdraw"}
_CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 yes, 1 no, 2 it could not be asked (said in one line); 128 + n when stopped by signal n."""
    given = sys.argv[1:] if arguments is None else arguments
    words = [word.encode("utf-8", "replace").decode() for word in given]  # what is written down is UTF-8
    gc.set_threshold(*GARBAGE)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _terminate)
    for stream in (sys.stdin, sys.stdout, sys.stderr):  # a terminal that lacks a letter shows another
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        if not words:
            print(_overview())
            return 0
        from train.verbs import VERBS, run

        return VERBS[words[0]](words[1:]) if words[0] in VERBS else run(words)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from what is done", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE  # what the answer was, nobody has heard: it is not "yes"
    except BaseException as error:
        line = _in_one_line(error) or (_of_a_release(error) if words[0] in _ASKED_OF_RELEASES else None)
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 2


def _in_one_line(error: BaseException) -> str | None:
    """What to tell the user, or None where the mistake is ours and a traceback is due."""
    from train.records import BadInput, printable

    if isinstance(error, BadInput):
        return f"error: {printable(str(error))}"
    if isinstance(error, OSError):
        return f"error: {printable(str(error))}; what was complete before is still there"
    if _is_of_memory(error):
        return (
            "error: the memory is full; what was complete before is still there. A training takes less with "
            "parallel.sequences_per_device=1, parallel.activation_checkpointing=full or a smaller model"
        )
    return None


def _of_a_release(error: BaseException) -> str | None:
    """Of somebody else's folder, which may state anything: what went wrong with it, and where."""
    import traceback

    from train.records import printable

    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of a package written in Rust
        return None
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = printable(f"{type(error).__name__} {error}")[:200]
    return f"error: what stands in the folder cannot be read: {said} ({Path(place.filename).name}:{place.lineno})"


def _is_of_memory(error: BaseException) -> bool:
    """Python's own word for it, that of torch's allocator on a GPU, or that on a processor."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _overview() -> str:
    lines = ["Fusée: language models that are free in practice.", "", "Experiments (the line is the command):"]
    for path in sorted(
        (_CONFIGS if _CONFIGS.is_dir() else Path(__file__).parent / "configs").glob("experiment/*.yaml")
    ):
        lines.append("  " + path.read_text("utf-8").splitlines()[1].removeprefix("# "))
    lines += [
        "",
        "Verbs (each has --help):",
        "  python -m train +experiment=NAME ...       run the recipe, end with a release",
        "  python -m train fetch +experiment=NAME     bring here what it needs from the network",
        "  python -m train prepare --part I --of N    judge a share of a large corpus, for an array of jobs",
        '  python -m train generate RELEASE "prompt"  text from a release: goes on, answers, or fills [MASK] in',
        "  python -m train chat RELEASE               a page to ask a model on, and whose words it answers in",
        "  python -m train evaluate RELEASE           measure a release again, or ask it tasks (--tasks)",
        "  python -m train plan +experiment=NAME      what a run costs before it is spent, or what a budget affords",
        "  python -m train audit RELEASE              is it free in practice? every check, and what is missing",
        "  python -m train rebuild RELEASE            make it again from what is in it, and compare bit for bit",
        "  python -m train remake RELEASE ...         make it otherwise: without an author, with another size",
        "  python -m train withdraw RELEASE ...       a text may no longer be used: take it out, and say so",
        "  python -m train compare RELEASE RELEASE    ingredients, choices, cost and scores side by side",
        '  python -m train trace RELEASE "text"       which training documents hold these words, and who wrote them',
        "  python -m train requeue CODE               in a SLURM script: start the job again (docs/cluster.md)",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
