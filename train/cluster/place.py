"""Which of several processes this is, and where they meet: as torchrun says, else as SLURM does, else it is alone."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from train.cluster.slurm import node_address
from train.records import BadInput

_PORTS = range(10_000, 30_000)  # below those that a system gives out by itself


@dataclass(kw_only=True, frozen=True)
class Place:
    """Process `rank` of `count`, the `local_rank`-th of `local_count` on its node. All meet at `host`:`port`; one
    `serves` there."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    node: str = ""
    host: str = "localhost"
    port: int = 0
    serves: bool = True

    @property
    def first(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0


def find_place(said: Mapping[str, str] = os.environ) -> Place:
    """This process's place. Raises BadInput where what is said of it is not whole.

    SLURM's variables count within `srun` alone: the batch script has SLURM_NTASKS too, and is no task.
    """
    try:
        if "RANK" in said:
            return _by_torchrun(said)
        return _by_slurm(said) if int(said.get("SLURM_STEP_NUM_TASKS", "1")) > 1 else Place()
    except (KeyError, ValueError) as error:
        raise BadInput(f"which process this is cannot be told from the environment: {error}") from error


def _by_torchrun(said: Mapping[str, str]) -> Place:
    rank = int(said["RANK"])
    return Place(
        rank=rank,
        count=int(said["WORLD_SIZE"]),
        local_rank=int(said.get("LOCAL_RANK", "0")),
        local_count=int(said.get("LOCAL_WORLD_SIZE", "1")),
        node=socket.gethostname(),
        host=said.get("MASTER_ADDR", "localhost"),
        port=int(said.get("MASTER_PORT", "0")),
        serves=rank == 0 and said.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
    )


def _by_slurm(said: Mapping[str, str]) -> Place:
    rank = int(said["SLURM_PROCID"])
    step = int(said["SLURM_JOB_ID"]) + int(said.get("SLURM_STEP_ID", "0"))
    return Place(
        rank=rank,
        count=int(said["SLURM_STEP_NUM_TASKS"]),
        local_rank=int(said["SLURM_LOCALID"]),
        local_count=int(re.split(r"\D", said["SLURM_STEP_TASKS_PER_NODE"])[0]),  # "4(x2)"
        node=said.get("SLURMD_NODENAME") or socket.gethostname(),
        host=said.get("MASTER_ADDR") or _address(first_host(said["SLURM_STEP_NODELIST"])),
        port=int(said.get("MASTER_PORT") or _PORTS[step % len(_PORTS)]),
        serves=rank == 0,
    )


def first_host(nodes: str) -> str:
    """The first of a list of nodes as SLURM writes it: "gpu[07-09,12],login1" -> "gpu07"."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first[0] if first else nodes)


def _address(node: str) -> str:
    """A node's name where it can be looked up, else what SLURM itself reaches it by."""
    try:
        socket.getaddrinfo(node, None)
    except socket.gaierror:
        return node_address(node)
    return node
