"""A real SLURM of two nodes on this machine: Debian's slurm-wlm and munge, on ports of their own, in one folder."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

NEEDS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "runuser")
NODES = ("n1", "n2")

# cred_expire is also how long a requeued job waits before it starts again: two minutes where nobody says otherwise.
_CONF = """
ClusterName=fusee
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
KillWait=10
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SchedulerTimeSlice=5
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=64 RealMemory=1000000 Gres=gpu:8
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=64 RealMemory=1000000 Gres=gpu:8
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=first Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=9
"""


def why_not() -> str:
    """Why there can be no SLURM here; empty where there can."""
    missing = [name for name in NEEDS if shutil.which(name) is None]
    if missing:
        return f"needs Debian's slurm-wlm and munge: there is no {missing[0]}"
    return "" if os.geteuid() == 0 else "needs root: slurmd starts processes for others"


class Cluster:
    """While it is entered, two nodes take jobs. All is kept in `folder`, which everybody must be able to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))},
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        self._daemons = ExitStack()

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self._daemons.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._daemons.close()

    def _start(self) -> None:
        munge, host = self.folder / "munge", socket.gethostname()
        munge.mkdir()
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o400)
        for path in (munge, munge / "key"):
            shutil.chown(path, "munge", "munge")
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir()
        files = [f"--{name}={munge}/{file}" for name, file in (("key-file", "key"), ("socket", "socket"))]
        files += [f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed"]
        self._daemon("munged", ["runuser", "-u", "munge", "--", "munged", "--foreground", *files])
        until((munge / "socket").exists, 60, "munged")
        (self.folder / "slurm.conf").write_text(_CONF.format(host=host, folder=self.folder, ports=_free_ports(3)))
        (self.folder / "gres.conf").write_text("NodeName=n1,n2 Name=gpu File=/dev/tty[0-7]\n")
        self._daemon("slurmctld", ["slurmctld", "-D", "-c"])
        for node in NODES:
            self._daemon(node, ["slurmd", "-D", "-N", node])
        until(self.idle, 120, "two idle nodes")

    def _daemon(self, name: str, command: list[str]) -> None:
        log = self._daemons.enter_context((self.folder / f"{name}.out").open("w"))
        process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        self._daemons.callback(_end, process)

    def ask(self, *words: str) -> str:
        """What a SLURM command answers."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def idle(self) -> bool:
        """Whether both nodes take jobs and have none."""
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%N %t"],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return set(done.stdout.split("\n")) == {*(f"{node} idle" for node in NODES), ""}

    def submit(self, folder: Path, *words: str, **variables: str) -> str:
        """sbatch in `folder`; the job's number."""
        done = subprocess.run(
            ["sbatch", "--parsable", *words], cwd=folder, env={**self.environment, **variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job: {"JobState": "RUNNING", "Restarts": "0", ...}."""
        return dict(re.findall(r"(\S+?)=(\S*)", self.ask("scontrol", "show", "job", number)))

    def wait(self, number: str, *states: str, seconds: float = 120) -> dict[str, str]:
        """Until a job is in one of these states."""
        until(lambda: self.job(number)["JobState"] in states, seconds, f"job {number} {states}")
        return self.job(number)


def until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for `what`."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
