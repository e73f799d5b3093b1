"""On a real SLURM of two nodes: jobs that are taken away come back, and end with the weights of one left in peace."""

import json
import time
from pathlib import Path

import pytest

from tests.conftest import write_school
from tests.slurm.cluster import Cluster, until
from tests.slurm.conftest import exact_run
from train.cluster.place import first_host
from train.config import compose
from train.libre import audit, rebuild
from train.recipe import run_recipe

OURS = ("--account=ours", "--partition=test", "--mem=1G", "--cpus-per-task=1")
TWO = ("--account=ours", "--partition=test", "--gpus-per-node=1", "--time=10", "slurm/nodes.sbatch")
LONG = ("optim.steps=120", "run.evaluate_every=60", "run.hang_after=30")


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_school(tmp_path_factory.mktemp("school"))


def chain(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "release" / "training" / "chain.jsonl").read_text().splitlines()]


def made_alone(school: Path, folder: Path, *more: str) -> list[dict]:
    """The chain of one process that nobody disturbs."""
    run_recipe(compose([*exact_run(school, *more), f"run.folder={folder}"]))
    return chain(folder / "small")


@pytest.fixture(scope="module")
def undisturbed(school: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return made_alone(school, tmp_path_factory.mktemp("alone"), *LONG)


def steps(project: Path) -> int:
    """How many steps are logged."""
    metrics = project / "runs" / "small" / "metrics.jsonl"
    return metrics.read_text().count('"loss"') if metrics.is_file() else 0


def said(project: Path, number: str) -> str:
    return next(project.glob(f"slurm-*-{number}.out")).read_text()


def finish(cluster: Cluster, project: Path, number: str, restarts: int) -> None:
    """The job ends well, after so many restarts."""
    job = cluster.wait(number, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", seconds=300)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", str(restarts)), said(project, number)


def test_two_nodes_make_the_weights_of_one(cluster: Cluster, project: Path, school: Path, tmp_path: Path) -> None:
    assert cluster.ask("scontrol", "show", "hostnames", "n[1-2]").split()[0] == first_host("n[1-2]")
    number = cluster.submit(project, *TWO, *exact_run(school, "optim.steps=6"))
    alone = made_alone(school, tmp_path / "alone", "optim.steps=6")
    finish(cluster, project, number, 0)
    assert chain(project / "runs" / "small") == alone
    logs = project / "runs" / "small" / "logs"
    assert "rank 1 of 2 on n2" in (logs / "rank-1.txt").read_text()
    assert "tokens     35,266 to train on" in (logs / "rank-0.txt").read_text()


def signalled(cluster: Cluster, number: str) -> None:
    cluster.ask("scancel", "--signal=USR1", number)


def killed(cluster: Cluster, number: str) -> None:
    cluster.ask("scancel", "--signal=KILL", f"{number}.0")


def node_down(cluster: Cluster, number: str) -> None:
    cluster.ask("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    cluster.wait(number, "PENDING")
    cluster.ask("scontrol", "update", "nodename=n2", "state=resume")


@pytest.mark.slow
@pytest.mark.parametrize("disturb", [signalled, killed, node_down])
def test_a_disturbed_job_comes_back(
    disturb, cluster: Cluster, project: Path, school: Path, undisturbed: list[dict], tmp_path: Path
) -> None:
    number = cluster.submit(project, *TWO, *exact_run(school, *LONG, "run.checkpoint_every=10"))
    until(lambda: steps(project) > 15, 180, "steps")
    disturb(cluster, number)
    finish(cluster, project, number, 1)
    assert "going on from step" in said(project, number)
    assert ("saved; the same command goes on" in said(project, number)) == (disturb is not killed)
    assert chain(project / "runs" / "small") == undisturbed
    release = project / "runs" / "small" / "release"
    if disturb is signalled:  # and what two nodes made, one process makes again
        assert audit(release).failed == []
        assert rebuild(release, "R3", note=lambda _: None).identical
        assert audit(release).level == "R3"


@pytest.mark.slow
def test_ten_preemptions(cluster: Cluster, project: Path, school: Path, undisturbed: list[dict]) -> None:
    """A job of a partition that goes first takes both nodes, ten times."""
    number = cluster.submit(project, *TWO, *exact_run(school, *LONG))
    for time_ in range(1, 11):
        before = steps(project)
        until(lambda before=before: steps(project) > before, 180, f"steps before preemption {time_}")
        cluster.submit(project, "--partition=first", "--nodes=2", "--exclusive", "--wrap=true")
        cluster.wait(number, "PENDING", seconds=120)
        assert cluster.job(number)["Restarts"] == str(time_)
    finish(cluster, project, number, 10)
    assert said(project, number).count("saved; the same command goes on") == 10
    assert chain(project / "runs" / "small") == undisturbed


@pytest.mark.slow
def test_a_cancelled_job_stays_cancelled(cluster: Cluster, project: Path, school: Path) -> None:
    number = cluster.submit(project, *TWO, *exact_run(school, *LONG))
    until(lambda: steps(project) > 5, 180, "steps")
    cluster.ask("scancel", number)
    assert cluster.wait(number, "CANCELLED", "PENDING", "RUNNING", seconds=60)["JobState"] == "CANCELLED"
    until(lambda: "not requeued: somebody has cancelled the job" in said(project, number), 10, "the reason")


@pytest.mark.slow
def test_a_mistake_does_not_come_back(cluster: Cluster, project: Path, school: Path) -> None:
    """Three sequences are not shared out between two: the first says so, both end with 2."""
    words = exact_run(school, "optim.sequences_per_step=3", "parallel.replicate=2")
    number = cluster.submit(project, *TWO, *words)
    assert cluster.wait(number, "COMPLETED", "FAILED")["ExitCode"] == "2:0"
    assert "error: optim.sequences_per_step=3 must be a multiple of the 2 processes that share" in said(project, number)
    assert "not requeued: it could not be asked" in said(project, number)
    assert cluster.job(number)["Restarts"] == "0"


@pytest.mark.slow
def test_it_goes_on_with_fewer_nodes(cluster: Cluster, project: Path, school: Path, undisturbed: list[dict]) -> None:
    until(cluster.idle, 120, "two idle nodes")
    words = exact_run(school, *LONG, "run.checkpoint_every=10")
    number = cluster.submit(project, "--nodes=1-2", *TWO, *words)
    until(lambda: steps(project) > 15, 180, "steps")
    assert cluster.job(number)["NumNodes"] == "2"
    cluster.ask("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    try:
        finish(cluster, project, number, 1)
    finally:
        cluster.ask("scontrol", "update", "nodename=n2", "state=resume")
    assert cluster.job(number)["NumNodes"] == "1"
    assert chain(project / "runs" / "small") == undisturbed


@pytest.mark.slow
def test_a_signal_before_the_training(cluster: Cluster, project: Path, school: Path, undisturbed: list[dict]) -> None:
    """In the documents, or whatever comes next: what is done stays done."""
    number = cluster.submit(project, *TWO, *exact_run(school, *LONG))
    for moment in ("documents", "done/tokens.json"):
        until((project / "runs" / "small" / moment).exists, 180, moment)
        cluster.ask("scancel", "--signal=USR1", number)
        cluster.wait(number, "PENDING", seconds=120)
    finish(cluster, project, number, 2)
    assert "exit code 138" in said(project, number)
    assert chain(project / "runs" / "small") == undisturbed


@pytest.mark.slow
def test_the_time_limit(cluster: Cluster, project: Path, school: Path, tmp_path: Path) -> None:
    """SLURM looks at its clock every half minute: a run must be longer to get the signal, wherever it then stands."""
    longer = (*LONG, "optim.steps=480")
    words = exact_run(school, *longer)
    undisturbed = made_alone(school, tmp_path / "alone", *longer)
    number = cluster.submit(project, *TWO[:-2], "--time=2", "--signal=USR1@100", TWO[-1], *words)
    finish_by = time.monotonic() + 600
    while cluster.job(number)["JobState"] not in ("COMPLETED", "FAILED", "TIMEOUT") and time.monotonic() < finish_by:
        time.sleep(1)
    assert cluster.job(number)["JobState"] == "COMPLETED", said(project, number)
    assert int(cluster.job(number)["Restarts"]) >= 1
    assert "requeued: exit code 138" in said(project, number)
    assert chain(project / "runs" / "small") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("script", ["tiny", "one-gpu", "one-node"])
def test_each_script(script: str, cluster: Cluster, project: Path, school: Path, tmp_path: Path) -> None:
    words = exact_run(school, "optim.steps=6")
    number = cluster.submit(project, *OURS, f"slurm/{script}.sbatch", *words)
    alone = made_alone(school, tmp_path / "alone", "optim.steps=6")
    finish(cluster, project, number, 0)
    assert chain(project / "runs" / "small") == alone


@pytest.mark.slow
def test_a_sweep(cluster: Cluster, project: Path, school: Path) -> None:
    words = [word for word in exact_run(school, "optim.steps=6") if not word.startswith(("run.name=", "optim.lr="))]
    number = cluster.submit(project, *OURS, "--array=0-1", "slurm/sweep.sbatch", *words)
    until(lambda: "JobState=RUNNING" not in cluster.ask("scontrol", "show", "job", number), 120, "the array")
    until(lambda: len(list(project.glob("runs/sweep-*/release/release.json"))) == 2, 120, "two releases")
    assert {path.name for path in (project / "runs").iterdir()} == {"sweep-optim.lr-0.01", "sweep-optim.lr-0.02"}
    one, other = (chain(path) for path in (project / "runs").iterdir())
    assert one[0] == other[0]
    assert one[-1] != other[-1]


@pytest.mark.slow
def test_a_corpus_is_prepared_by_an_array(cluster: Cluster, project: Path, school: Path) -> None:
    """Two jobs judge half of the documents each; the run puts them together, and its weights are those of one alone."""
    (project / "corpus.sbatch").write_text((project / "slurm" / "corpus.sbatch").read_text().replace("=16", "=2"))
    words = exact_run(school, "optim.steps=6")
    number = cluster.submit(project, *OURS, "--array=0-1", "corpus.sbatch", *words)
    until(lambda: len(list(project.glob("cache/parts/*/*-of-2.parquet"))) == 2, 120, "two parts")
    run = cluster.submit(project, *OURS, f"--dependency=afterok:{number}", "slurm/tiny.sbatch", *words)
    alone = made_alone(school, project / "alone", "optim.steps=6")
    finish(cluster, project, run, 0)
    assert "documents  judged before, in 2 parts in cache/parts/" in said(project, run)
    assert chain(project / "runs" / "small") == alone


@pytest.mark.parametrize("script", sorted(Path("slurm").glob("*.sbatch")), ids=lambda path: path.stem)
def test_scripts_are_thin(script: Path) -> None:
    """An account, a partition, a time; everything else is in the package."""
    lines = script.read_text().splitlines()
    assert len(lines) <= 16
    assert sum("CHANGE_ME" in line for line in lines) == 2
    assert "|| .venv/bin/python -m train requeue $?" in lines[-1]
