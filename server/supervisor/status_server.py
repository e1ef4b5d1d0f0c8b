"""`GET /metrics` for Prometheus and `GET /ready` for load balancers, over HTTP/1.1: one request per connection, on the
event loop, no web framework.

Knows no metric: it is given a function that returns them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from vouch.server.errors import StartFailed
from vouch.server.transport.addresses import bound, cannot_listen

log = logging.getLogger("vouch.server")

METRICS, READY = "/metrics", "/ready"
MAX_HEAD_BYTES = 1 << 14
"""Limit for a request's line and headers together."""
WITHIN_S = 10.0
"""Limit for reading a request and sending its response: Prometheus' own default."""
TEXT = "text/plain; charset=utf-8"

Told = Callable[[str], Awaitable[tuple[str, bytes]]]
"""(the request's Accept headers) -> content type and content: the current metrics."""
END_OF_HEAD = b"\r\n\r\n"


class StatusServer:
    """A listening server. Made by `start`."""

    def __init__(self, told: Told, ready: Callable[[], bool]) -> None:
        self._told = told
        self._ready = ready
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, host: str, port: int, told: Told, ready: Callable[[], bool]) -> Self:
        """Listens.

        Args:
            host: a name or an address; an IPv6 one without brackets.
            port: 0 for a free one.
            ready: whether calls should come to this server.

        Raises:
            StartFailed: the address is taken or not available.
        """
        server = cls(told, ready)
        try:
            taken = bound(host, port, shared=False)
            server._server = await asyncio.start_server(server._connected, sock=taken, limit=MAX_HEAD_BYTES)
        except OSError as err:
            raise StartFailed(
                f"{cannot_listen(host, port, err)}, for metrics; --metrics-port sets another port, 0 a free one"
            ) from err
        return server

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stops listening and cancels requests in progress."""
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="metrics")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                writer.write(await self._answered(reader))
                await writer.drain()
        except (TimeoutError, EOFError, OSError):
            writer.transport.abort()  # the caller disconnected or is too slow
        finally:
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await self._answer(reader)
        except (TimeoutError, EOFError, OSError):
            raise
        except Exception:
            log.exception("the metrics could not be collected")
            return _response("500 Internal Server Error", "The reason is in the server's log.")

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(END_OF_HEAD)
        except asyncio.LimitOverrunError:
            return _response("431 Request Header Fields Too Large", "The request's headers are too long.")
        request, *lines = head.decode("latin-1").split("\r\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response("400 Bad Request", "This is not an HTTP/1.1 request.")
        path = words[1].partition("?")[0]
        if path not in (METRICS, READY):
            return _response("404 Not Found", f"The only paths here are {METRICS} and {READY}.")
        if words[0] not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", "Only GET and HEAD are allowed.", allow="GET, HEAD")
        response = self._readiness() if path == READY else await self._metrics(lines)
        return response if words[0] == "GET" else response.partition(END_OF_HEAD)[0] + END_OF_HEAD

    def _readiness(self) -> bytes:
        return _response("200 OK", "ready") if self._ready() else _response("503 Service Unavailable", "not ready")

    async def _metrics(self, headers: Iterable[str]) -> bytes:
        accepted = [value for key, _, value in (line.partition(":") for line in headers) if key.lower() == "accept"]
        content_type, content = await self._told(",".join(accepted))
        return _response("200 OK", content, content_type)


def _response(status: str, content: str | bytes, content_type: str = TEXT, **headers: str) -> bytes:
    """A whole HTTP/1.1 response; a newline is added to text."""
    body = content if isinstance(content, bytes) else f"{content}\n".encode()
    more = "".join(f"{name.title()}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}Connection: close"
    )
    return head.encode("latin-1") + END_OF_HEAD + body
