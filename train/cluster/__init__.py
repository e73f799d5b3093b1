"""A cluster: which process this is, whether the others are alive, and how a job that was taken away comes back."""

from train.cluster.caches import use_caches
from train.cluster.logs import rank_log
from train.cluster.place import Place, find_place
from train.cluster.slurm import MOST_RESTARTS, requeue
from train.cluster.watch import Lost, Watch

__all__ = ["MOST_RESTARTS", "Lost", "Place", "Watch", "find_place", "rank_log", "requeue", "use_caches"]
