"""One call over ASGI: the messages of its request and of its response, its headers, its deadline, its end.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from urllib.parse import quote

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import InvalidRequest, MessageTooLarge
from vouch.server.rpc.method import Serialized
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.status import Status
from vouch.server.rpc.waiting import CallerLeft
from vouch.server.transport.asgi_request import AsgiRequest, Event, Receive, Scope, Send, body_event, body_events
from vouch.server.transport.intake import Intake
from vouch.server.transport.joining import joined

CONTENT_TYPE = b"application/grpc"
HEADERS = [(b"content-type", CONTENT_TYPE), (b"grpc-accept-encoding", b"identity,gzip,deflate")]
START: Event = {"type": "http.response.start", "status": 200, "headers": HEADERS, "trailers": True}
OK_TRAILERS: Event = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]}
LENGTH_BYTES = 5
"""Bytes before each message: whether it is compressed, then its length."""
WORTH_NO_COPY = 1 << 14
"""Size of a message from which a view costs less than a copy."""
ENDS_WITHIN, NOT_ONE = "the request ends in the middle of a message", "expected exactly one message"
TRAILERS = "http.response.trailers"


class AsgiCall(AsgiRequest):
    """The two directions of a call, as gRPC messages."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, intake: Intake) -> None:
        super().__init__(scope, receive, send, intake)
        self._may_be_grpc: bool = scope["method"] == "POST" and scope.get("http_version") != "1.1"
        self._has_trailers = TRAILERS in (scope.get("extensions") or ())
        self._read = bytearray()
        self._ended = False
        self._started = False

    @property
    def is_grpc(self) -> bool:
        """Whether this is a gRPC call, which needs HTTP/2."""
        return self._may_be_grpc and self._headers.get(b"content-type", b"").startswith(CONTENT_TYPE)

    def check(self) -> None:
        """
        Raises:
            InvalidRequest: the call's status cannot be sent after its messages.
        """
        if not self._has_trailers:
            raise InvalidRequest("expected the header 'te: trailers', which every gRPC call has")

    async def one(self, hold: Hold) -> Serialized:
        """The only message of a unary request; the hold keeps its bytes."""
        event = await self.receive()
        body: Serialized = event.get("body", b"")
        length = int.from_bytes(body[1:LENGTH_BYTES], "big")
        if len(body) < LENGTH_BYTES or body[0] or length > self.intake.max_message_bytes:
            self._read += self._body(event)
            return await self._one_carefully(hold)
        size = len(body)
        if size == LENGTH_BYTES + length and size <= FREE_BYTES and event.get("more_body", False):
            event = await self.receive()  # the end is a separate event, and mostly available already
            if event["type"] == "http.disconnect":
                raise CallerLeft
            body = b"".join((body, event.get("body", b"")))
            size = len(body)
        if event.get("more_body", False):
            pieces = [body]
            with self.intake.arriving.message(hold) as arrival:
                arrival.came(size)
                while event.get("more_body", False) and size <= LENGTH_BYTES + length:
                    event = await self.receive()
                    if event["type"] == "http.disconnect":
                        raise CallerLeft
                    pieces.append(event.get("body", b""))
                    size += len(pieces[-1])
                    arrival.came(len(pieces[-1]))
            body = await joined(pieces)
        elif size > FREE_BYTES:
            hold.take("received", size)
        if size != LENGTH_BYTES + length or event.get("more_body", False):
            raise InvalidRequest(ENDS_WITHIN if size < LENGTH_BYTES + length else NOT_ONE)
        return _message(body, LENGTH_BYTES + length)

    async def _one_carefully(self, hold: Hold) -> Serialized:
        message = await self._next(hold)
        if message is None or await self._next(hold) is not None:
            raise InvalidRequest(NOT_ONE)
        return message

    async def pieces(self, hold: Hold) -> AsyncIterator[list[Serialized]]:
        """All messages, in the groups in which they arrive, until the caller closes its side; the hold keeps a group's
        bytes until the next group is requested.
        """
        while (message := await self._next(hold)) is not None:
            yield [message, *self._following()]
            message = None  # or a quiet stream would keep it in memory
            hold.end()

    def _following(self) -> Iterator[bytes]:
        """The complete messages already read after it; stops at a compressed or incomplete one."""
        read, at = memoryview(self._read), 0
        while len(read) - at >= LENGTH_BYTES and not read[at]:
            start = at + LENGTH_BYTES
            length = int.from_bytes(read[at + 1 : start], "big")
            if length > self.intake.max_message_bytes or start + length > len(read):
                break
            at = start + length
            yield bytes(read[start:at])
        read.release()
        del self._read[:at]

    async def _next(self, hold: Hold) -> Serialized | None:
        """The next message; None at the end. Raises CallerLeft."""
        while len(self._read) < LENGTH_BYTES:
            if self._ended:
                if self._read:
                    raise InvalidRequest(ENDS_WITHIN)
                return None
            self._read += self._body(await self.receive())
        compressed, length = self._read[0], int.from_bytes(self._read[1:LENGTH_BYTES], "big")
        if length > self.intake.max_message_bytes:
            raise MessageTooLarge(
                f"the message has {length:,} bytes, and the limit is {self.intake.max_message_bytes:,}"
            )
        stop = LENGTH_BYTES + length
        if len(self._read) < stop:
            whole = await self._read_to(stop, hold)
            _cover(hold, len(whole))
            message, self._read = _message(whole, stop), bytearray(memoryview(whole)[stop:])
        else:
            _cover(hold, len(self._read))
            message = bytes(memoryview(self._read)[LENGTH_BYTES:stop])
            del self._read[:stop]
        return await self._inflated(message, hold) if compressed else message

    async def _read_to(self, stop: int, hold: Hold) -> Serialized:
        """What has been read already, and what comes until there are so many bytes."""
        pieces, size = [bytes(self._read)], len(self._read)
        with self.intake.arriving.message(hold) as arrival:
            arrival.came(size)
            while size < stop:
                if self._ended:
                    raise InvalidRequest(ENDS_WITHIN)
                pieces.append(self._body(await self.receive()))
                size += len(pieces[-1])
                arrival.came(len(pieces[-1]))
        return await joined(pieces)

    def _body(self, event: Event) -> bytes:
        if event["type"] == "http.disconnect":
            raise CallerLeft
        self._ended = not event.get("more_body", False)
        body: bytes = event.get("body", b"")
        return body

    async def _inflated(self, message: Serialized, hold: Hold) -> Serialized:
        encoding = self._headers.get(b"grpc-encoding", b"identity").decode("latin-1")
        return await self.intake.inflater.inflated(message, encoding, hold, self.client)

    async def write(self, *messages: Parts) -> None:
        """Sends messages of a stream; returns when they are sent."""
        await self.put(chain(self._beginning(), body_events(_framed(*messages), more=True)))

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """Ends the call, with a last message if there is one."""
        bodies = body_events(_framed(last) if last is not None else [b""])
        await self.put(chain(self._beginning(), bodies, (_with(trailers) if trailers else OK_TRAILERS,)))

    async def fail(self, status: Status) -> None:
        """Ends the call with an error."""
        headers = [(b"grpc-status", str(int(status.code)).encode())]
        headers.append((b"grpc-message", quote(status.message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}").encode()))
        with suppress(CallerLeft):
            if self._started:
                await self.put((body_event(b""), {"type": "http.response.trailers", "headers": headers}))
            else:
                await self.put(
                    ({"type": "http.response.start", "status": 200, "headers": HEADERS + headers}, body_event(b""))
                )

    def _beginning(self) -> tuple[Event, ...]:
        if self._started:
            return ()
        self._started = True
        return (START,)


def _cover(hold: Hold, size: int) -> None:
    if size > FREE_BYTES:
        hold.cover("received", size)


def _message(whole: Serialized, stop: int) -> Serialized:
    """The message at the beginning of what has come, behind its length."""
    return bytes(whole[LENGTH_BYTES:stop]) if stop < WORTH_NO_COPY else memoryview(whole)[LENGTH_BYTES:stop]


def _with(trailers: Iterable[tuple[str, str]]) -> Event:
    """The trailers of a successful call, and these."""
    more = [(name.encode("ascii"), value.encode("ascii")) for name, value in trailers]
    return {**OK_TRAILERS, "headers": [*OK_TRAILERS["headers"], *more]}


def _framed(*messages: Parts) -> list[bytes | memoryview]:
    pieces: list[bytes | memoryview] = []
    for parts in messages:
        pieces.append(b"\0" + sum(map(len, parts)).to_bytes(4, "big"))
        pieces += parts
    return pieces
