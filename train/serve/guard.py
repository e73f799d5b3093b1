"""What every request must have and every response gets: this page answers to this machine alone, and loads nothing.

A page elsewhere can send a browser here, under a name of its own that it points to 127.0.0.1 (DNS rebinding), or with a
form. The first has another Host, the second another Origin; both are refused. Who is no browser sends no Origin.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from train.serve.asked import Refusal, refuse

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Guard:
    """Stands before the application. `port`: where it is served."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app, self._hosts = app, {f"127.0.0.1:{port}", f"localhost:{port}"}
        if port == 80:
            self._hosts |= {"127.0.0.1", "localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (self._app if refusal is None else refuse(refusal))(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> Refusal | None:
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return Refusal(421, f"this server answers to {' and '.join(sorted(self._hosts))} alone")
        origin = headers.get("origin")
        if method not in {"GET", "HEAD"} and origin is not None and origin not in {f"http://{h}" for h in self._hosts}:
            return Refusal(403, "another page may not ask here")
        return None
