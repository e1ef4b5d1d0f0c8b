"""The tables of the services as an ASGI application, for a server whose HTTP/2 is somebody else's well-kept one.

Over HTTP/2, gRPC is little: a path, a length before each message, a deadline in a header, a status in the trailers
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The server must know the extension
`http.response.trailers`.
"""

from time import perf_counter_ns

from vouch.server.rpc.call import Calls
from vouch.server.transport.asgi_call import AsgiCall, Receive, Scope, Send
from vouch.server.transport.intake import Intake


class GrpcApp:
    """Answers the methods of some services. An ASGI application, less its lifespan."""

    def __init__(self, calls: Calls, intake: Intake) -> None:
        """
        Args:
            intake: what requests come in through.
        """
        self._calls = calls
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, of ASGI's type `http`."""
        call = AsgiCall(scope, receive, send, self._intake)
        if call.is_grpc:
            await self._calls.answer(scope["path"], call)
            return
        began_ns = perf_counter_ns()
        try:
            await call.say_in_http()
        finally:
            self._calls.count_stranger(began_ns)
