"""What a batch script does when its command has failed: the job comes back, or it is said why not."""

from train.verbs.words import Parser, write_json


def requeue_job(words: list[str]) -> int:
    """Start a SLURM job again; exits with the code that it was given."""
    from train.cluster import MOST_RESTARTS, requeue

    parser = Parser(
        "requeue",
        "Start this SLURM job again, from its batch script: srun ... || python -m train requeue $?. Nothing is "
        "requeued after 0 (done) and 2 (a mistake to be mended), nor a job that somebody cancelled.",
    )
    parser.add_argument("code", type=int, help="the exit code of the command that failed: $?")
    parser.add_argument(
        "--most", type=int, default=MOST_RESTARTS, metavar="N", help=f"at most N restarts of a job ({MOST_RESTARTS})"
    )
    given = parser.parse_args(words)
    said = requeue(given.code, given.most)
    write_json(given.json, {"code": given.code, "said": said})
    print(said)
    return int(given.code)
