"""To ask a model: a page on this machine, an endpoint for other programs on the same server, and a terminal."""

from collections.abc import Callable

from train.records import BadInput
from train.serve.opened import Opened, open_release
from train.serve.terminal import talk

__all__ = ["Opened", "open_release", "serve", "talk"]


def serve(opened: Opened, port: int, tell: Callable[[dict[str, object]], object] = lambda _: None) -> int:
    """Serve on 127.0.0.1 until Ctrl-C; the exit code. `tell` is told the address once it can be asked."""
    try:
        from train.serve.server import run
    except ImportError as error:
        raise BadInput(
            "the page needs starlette and uvicorn: in Fusée's folder, pip install -e '.[chat]'; or --terminal"
        ) from error
    return run(opened, port, tell)
