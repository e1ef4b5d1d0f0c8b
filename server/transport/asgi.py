"""The services' tables as an ASGI application, for any ASGI server with HTTP/2.

gRPC adds little to HTTP/2: a path, a length before each message, a deadline in a header, a status in the trailers
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The server must support the extension
`http.response.trailers`. Other requests go to another application, if there is one.
"""

from time import perf_counter_ns

from vouch.server.rpc.call import Calls
from vouch.server.transport.asgi_call import AsgiCall
from vouch.server.transport.asgi_request import Event, Receive, Scope, Send, body_event
from vouch.server.transport.intake import Intake
from vouch.server.transport.limits import MakeHttp

NO_HTTP: Event = {
    "type": "http.response.start",
    "status": 415,
    "headers": [(b"content-type", b"text/plain; charset=utf-8")],
}


class App:
    """Answers all requests to the port. An ASGI application without the lifespan protocol."""

    def __init__(self, calls: Calls, intake: Intake, make_http: MakeHttp | None = None) -> None:
        """
        Args:
            intake: limits and budget for incoming requests.
            make_http: None if the port serves only gRPC.
        """
        self._calls = calls
        self._intake = intake
        self._http = make_http(calls, intake) if make_http is not None else self._refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or a WebSocket, which is refused."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        call = AsgiCall(scope, receive, send, self._intake)
        if call.is_grpc:
            await self._calls.answer(scope["path"], call)
        else:
            await self._http(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers that this port serves only gRPC."""
        began_ns = perf_counter_ns()
        try:
            await send(NO_HTTP)
            await send(body_event(b"This port speaks gRPC over HTTP/2.\n"))
        except OSError:  # the caller has left
            return
        finally:
            self._calls.count_stranger(began_ns)
