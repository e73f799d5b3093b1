"""The server: the page and the endpoint on 127.0.0.1, until it is stopped."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from train.records import BadInput
from train.serve.asked import Refusal, error, refuse
from train.serve.auditor import Auditor
from train.serve.endpoint import Endpoint
from train.serve.guard import Guard
from train.serve.line import Line
from train.serve.opened import Opened
from train.serve.page import Page

_HOST = "127.0.0.1"
_MOST_CONNECTIONS = 1024
_LAST_SECONDS = 5  # for answers to end when the server is stopped


def run(opened: Opened, port: int, tell: Callable[[dict[str, object]], object]) -> int:
    """Serve until Ctrl-C or SIGTERM. Raises BadInput where the port cannot be had."""
    with bind(port) as bound:
        port = bound.getsockname()[1]
        address = f"http://{_HOST}:{port}/"
        server = Server(opened, port)
        print(f"{opened.name} answers on {address}\n(for programs: {address}v1; Ctrl-C ends it)", flush=True)
        tell({"url": address, "port": port, "model": opened.name})
        try:
            server.run(sockets=[bound])
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
        return 0


class Server(uvicorn.Server):
    """Ends what is being written when it is told to stop, instead of waiting for it."""

    def __init__(self, opened: Opened, port: int) -> None:
        self.line = Line()
        config = uvicorn.Config(
            application(opened, self.line, port),
            http="h11", loop="asyncio", ws="none", lifespan="on", log_level="warning", access_log=False,
            proxy_headers=False, server_header=False, limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_LAST_SECONDS,
        )  # fmt: skip
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal."""
        self.line.close()
        super().handle_exit(sig, frame)


def application(opened: Opened, line: Line, port: int) -> Starlette:
    """What is served; the audit begins with it, and is ended with it."""
    auditor = Auditor(opened.folder, opened.bases)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        audit = asyncio.create_task(auditor.audit())
        yield
        audit.cancel()
        with suppress(asyncio.CancelledError):
            await audit

    return Starlette(
        routes=[*Page(opened, line, auditor).routes(), *Endpoint(opened, line).routes()],
        middleware=[Middleware(Guard, port=port)],
        exception_handlers={Refusal: _refused, BadInput: _refused, HTTPException: _not_found},
        lifespan=life,
    )


async def _refused(_: Request, why: Exception) -> Response:
    assert isinstance(why, Refusal | BadInput)
    return refuse(why)


async def _not_found(request: Request, why: Exception) -> Response:
    assert isinstance(why, HTTPException)
    return JSONResponse(error(f"{request.method} {request.url.path}: {why.detail}", why.status_code), why.status_code)


def bind(port: int) -> socket.socket:
    """A socket that listens on the loopback interface; port 0 is any that is free."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((_HOST, port))
        bound.listen(_MOST_CONNECTIONS)
    except (OSError, OverflowError) as failure:
        bound.close()
        raise BadInput(f"port {port} of {_HOST} cannot be had ({failure}): choose another with --port") from failure
    return bound
