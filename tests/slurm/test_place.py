"""Which process this is, from torchrun's variables or SLURM's; which jobs come back."""

import pytest

from train.__main__ import main
from train.cluster.place import find_place, first_host
from train.records import BadInput

STEP = {
    "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "2", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NODELIST": "localhost,n[2-4]", "SLURMD_NODENAME": "n3",
    "SLURM_STEP_TASKS_PER_NODE": "2(x4)",
}  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("n1", "n1"),
        ("n[1-2]", "n1"),
        ("gpu[07-09,12],login1", "gpu07"),
        ("login1,gpu[07-09]", "login1"),
        ("rack[0-1]-n[03,05]", "rack0-n03"),
        ("a-1.b.c,a-2.b.c", "a-1.b.c"),
    ],
)
def test_the_first_of_a_list_of_nodes(nodes: str, first: str) -> None:
    """As `scontrol show hostnames` gives it; test_cluster.py asks it."""
    assert first_host(nodes) == first


def test_within_srun() -> None:
    place = find_place(STEP)
    assert (place.rank, place.count, place.local_rank, place.local_count, place.node) == (5, 8, 1, 2, "n3")
    assert (place.host, place.first, place.serves) == ("localhost", False, False)
    assert place.port == find_place({**STEP, "SLURM_PROCID": "0"}).port == 10_000 + 4713
    assert find_place({**STEP, "SLURM_PROCID": "0"}).serves
    assert find_place({**STEP, "MASTER_ADDR": "there", "MASTER_PORT": "99"}).host == "there"


def test_a_batch_script_is_no_task() -> None:
    script = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}
    assert find_place(script).count == find_place({}).count == 1


def test_torchrun_within_srun_counts_first() -> None:
    torchrun = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "h", "MASTER_PORT": "7"}
    place = find_place({**STEP, **torchrun})
    assert (place.rank, place.count, place.host, place.port) == (1, 2, "h", 7)
    agent = {**torchrun, "RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert not find_place(agent).serves
    with pytest.raises(BadInput, match="WORLD_SIZE"):
        find_place({"RANK": "1"})


@pytest.mark.parametrize(
    ("words", "restarts", "says"),
    [
        (["0"], "0", "not requeued: it is done"),
        (["2"], "0", "not requeued: it could not be asked"),
        (["138", "--most", "3"], "3", "started again 3 times already"),
    ],
)
def test_what_does_not_come_back(
    words: list[str], restarts: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    assert main(["requeue", *words]) == int(words[0])
    assert says in capsys.readouterr().out


def test_requeue_is_for_jobs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert main(["requeue", "138"]) == 2
    assert "SLURM_JOB_ID is not set" in capsys.readouterr().err
