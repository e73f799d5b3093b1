"""What each word after `python -m train` does: its arguments, the call, the answer. Heavy imports wait in the verbs."""

from collections.abc import Callable

from train.verbs.free import audit, compare, rebuild, remake, trace, withdraw
from train.verbs.plan import plan
from train.verbs.requeue import requeue_job
from train.verbs.run import fetch, prepare, run
from train.verbs.speak import chat, evaluate, generate

__all__ = ["VERBS", "run"]

VERBS: dict[str, Callable[[list[str]], int]] = {
    "fetch": fetch,
    "prepare": prepare,
    "generate": generate,
    "chat": chat,
    "evaluate": evaluate,
    "plan": plan,
    "audit": audit,
    "rebuild": rebuild,
    "remake": remake,
    "withdraw": withdraw,
    "trace": trace,
    "compare": compare,
    "requeue": requeue_job,
}
