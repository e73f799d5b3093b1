"""What is asked of SLURM: to requeue a job, to end a step, where a node is."""

import os
import re
import shutil
import subprocess

from train.records import BadInput

MOST_RESTARTS = 100
"""How often a job is started again before somebody should look at it."""

_FINAL = {0: "it is done", 2: "it could not be asked, and asking again would not help"}


def requeue(code: int, most: int) -> str:
    """Start this job again, whose command ended with `code`; what was done and why, in words.

    Nothing is done where there is nothing to go on with (0), where a mistake is to be mended (2), where somebody has
    cancelled the job, where SLURM has done it (a node died), and after `most` restarts. Raises BadInput outside a job.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        raise BadInput("requeue is for the batch script of a SLURM job: SLURM_JOB_ID is not set")
    if code in _FINAL:
        return f"not requeued: {_FINAL[code]} (exit code {code})"
    restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    if restarts >= most:
        return f"not requeued: exit code {code}, and the job was started again {restarts} times already"
    state, reason = _state(job)
    if state == "PENDING":
        return "requeued by SLURM itself"
    if state != "RUNNING" and reason != "TimeLimit":
        return f"not requeued: somebody has cancelled the job ({state})"
    failed = _ask("scontrol", "requeue", job).stderr.strip()
    if failed:
        return f"not requeued: exit code {code}, and scontrol says: {failed}"
    return f"requeued: exit code {code}, restart {restarts + 1} of at most {most}"


def kill_step() -> None:
    """End all processes of this step, those too that no longer answer; outside SLURM nothing."""
    job, step = (os.environ.get(name, "") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    if job and step and shutil.which("scancel"):
        _ask("scancel", "--signal=KILL", f"{job}.{step}")


def node_address(node: str) -> str:
    """Where SLURM reaches a node. Raises BadInput if it does not know."""
    found = re.search(r"NodeAddr=(\S+)", _ask("scontrol", "show", "node", node).stdout)
    if not found:
        raise BadInput(f"the node {node} cannot be looked up, and SLURM does not say where it is: set MASTER_ADDR")
    return found[1]


def _state(job: str) -> tuple[str, str]:
    """A job's state and the reason for it. While its processes end, scontrol says COMPLETING and not why, but for the
    time limit."""
    shown = _ask("scontrol", "show", "job", job)
    found = re.search(r"JobState=(\w+) Reason=(\w+)", shown.stdout)
    if not found:
        raise BadInput(f"scontrol does not know the job {job}: {shown.stderr.strip()}")
    return found[1], found[2]


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{' '.join(words)}: {error}") from error
