"""The tables of the services as an ASGI application, for a server whose HTTP/2 is somebody else's well-kept one.

Over HTTP/2, gRPC is little: a path, a length before each message, a deadline in a header, a status in the trailers
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The server must know the extension
`http.response.trailers`. What is no gRPC goes to another application, where there is one.
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
    """Answers what comes to the port. An ASGI application, less its lifespan."""

    def __init__(self, calls: Calls, intake: Intake, make_http: MakeHttp | None = None) -> None:
        """
        Args:
            intake: what requests come in through.
            make_http: None where the port speaks gRPC alone.
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
        """Says what this port is."""
        began_ns = perf_counter_ns()
        try:
            await send(NO_HTTP)
            await send(body_event(b"This port speaks gRPC over HTTP/2.\n"))
        except OSError:  # the caller has left
            return
        finally:
            self._calls.count_stranger(began_ns)
