"""One ASGI request of any protocol: its caller, its headers, its deadline, and how its response is sent.

A server may report that a caller has left by the event `http.disconnect`, by cancelling the request's task, or by an
OSError when sending. All three mean the same.
"""

import asyncio
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from vouch.server.errors import InvalidRequest
from vouch.server.rpc.context import is_reserved
from vouch.server.rpc.waiting import CallerLeft
from vouch.server.transport.intake import Intake

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Scope = Mapping[str, Any]

TIMEOUT_KEY, TIMEOUT_DIGITS = b"grpc-timeout", 8
"""The header with a deadline, and its most digits."""
TIMEOUT_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
PIECE_BYTES = 1 << 18
"""Longer responses are sent in pieces, so that the server can wait between them until the caller has room."""


class AsgiRequest:
    """One request, and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, intake: Intake) -> None:
        self.receive = receive
        self._send = send
        self._every_header: Iterable[tuple[bytes, bytes]] = scope["headers"]
        self._headers: dict[bytes, bytes] = dict(self._every_header)
        self.intake = intake
        self.client: tuple[str, int] | None = scope["client"]

    @property
    def peer(self) -> str:
        """The caller's address in gRPC's notation."""
        host, port = self.client or ("", 0)
        return f"{'ipv6' if ':' in host else 'ipv4'}:{host}:{port}" if host else "unknown"

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """The values of one of the caller's own headers. Raises InvalidRequest."""
        if is_reserved(name):
            return ()
        key = name.encode()
        values = [value for one, value in self._every_header if one == key]
        if not name.endswith("-bin"):
            return tuple(value.decode("latin-1") for value in values)
        parts = [part.strip(b" =") for value in values for part in value.split(b",")]  # a header may have several
        try:
            return tuple(b64decode(part + b"=" * (-len(part) % 4), validate=True) for part in parts)
        except NoBase64 as err:
            raise InvalidRequest(f"expected base64 in the header {name}") from err

    def deadline(self) -> float | None:
        """In the event loop's time."""
        timeout = self._headers.get(TIMEOUT_KEY)
        return None if timeout is None else asyncio.get_running_loop().time() + timeout_s(timeout)

    async def left(self) -> None:
        """Waits until the caller has left; only for calls whose messages have all been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def put(self, events: Iterable[Event]) -> None:
        """Sends events. Raises CallerLeft."""
        try:
            for event in events:
                await self._send(event)
        except OSError as err:  # by the ASGI specification, the caller has left
            raise CallerLeft from err


def body_event(content: bytes, more: bool = False) -> Event:
    """A part of a response's body.

    Args:
        more: whether another part follows.
    """
    return {"type": "http.response.body", "body": content, "more_body": more}


def body_events(pieces: Sequence[bytes | memoryview], more: bool = False) -> Iterable[Event]:
    """The body as one part, or as several if it is long; each is joined when it is sent."""
    if sum(map(len, pieces)) <= PIECE_BYTES:
        return (body_event(b"".join(pieces), more),)
    return _cut(pieces, more)


def _cut(pieces: Sequence[bytes | memoryview], more: bool) -> Iterator[Event]:
    left, gathered, size = sum(map(len, pieces)), list[memoryview](), 0
    for piece in pieces:
        at = 0
        while at < len(piece):
            gathered.append(memoryview(piece)[at : at + PIECE_BYTES - size])
            at += len(gathered[-1])
            size += len(gathered[-1])
            if size in (PIECE_BYTES, left):
                left -= size
                yield body_event(b"".join(gathered), more or left > 0)
                gathered, size = [], 0


def timeout_s(value: bytes) -> float:
    """The seconds of a grpc-timeout header: digits and a unit.

    Raises:
        InvalidRequest: the header is invalid.
    """
    digits, unit = value[:-1], TIMEOUT_UNITS.get(value[-1:])
    if unit is None or not digits.isdigit() or len(digits) > TIMEOUT_DIGITS:
        raise InvalidRequest(f"expected a grpc-timeout of at most {TIMEOUT_DIGITS} digits and a unit, got {value!r}")
    return int(digits) * unit
