"""A minimal client for HTTP/2 and HTTP/1.1: sends the same request repeatedly, and reads only the answers' sizes.

HTTP/2 by RFC 9113 and HPACK by RFC 7541: the first request puts its headers into the dynamic table, all others refer
to them. Bodies fit into a frame. Answers' headers are not read.
"""

import re
import socket
from collections.abc import Iterator
from typing import Protocol

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
MAX_CONCURRENT_STREAMS = 3
FIRST_WINDOW, LARGEST_WINDOW, LARGEST_FRAME = (1 << 16) - 1, (1 << 31) - 1, 1 << 14
GIVEN_BACK_BYTES = 1 << 24
"""Of answers, after which the server may send as many more."""
STREAMS = 100
"""At once on a connection, as gRPC's servers allow by default."""
READ_BYTES = 1 << 18


class Connection(Protocol):
    """One connection to the server."""

    def has_room(self) -> bool:
        """Whether a call can be sent now."""

    def ask(self, call: int) -> None:
        """Puts a call into what is to be sent."""

    def flush(self) -> None:
        """Sends what can be sent."""

    def answers(self) -> Iterator[tuple[int, int]]:
        """Calls that were answered since, and the bytes of each answer; 0 of one that was reset."""


class _Writer:
    """What is to be sent, without ever waiting."""

    def __init__(self, peer: socket.socket) -> None:
        """Takes the socket over."""
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = peer
        self.out = bytearray()

    def flush(self) -> None:
        """Sends what can be sent."""
        if self.out:
            try:
                del self.out[: self.peer.send(self.out)]
            except BlockingIOError:
                return

    def read(self) -> bytes:
        """What has come. Raises ConnectionError where the server has closed."""
        try:
            data = self.peer.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionError("the server closed a connection")
        return data


class Http1(_Writer):
    """A call at a time."""

    def __init__(self, peer: socket.socket, address: str, path: str, body: bytes) -> None:
        """Sends nothing yet."""
        super().__init__(peer)
        head = f"POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/octet-stream\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        self._call: int | None = None
        self._come = b""

    def has_room(self) -> bool:
        """Whether the last call was answered."""
        return self._call is None

    def ask(self, call: int) -> None:
        """Puts a call into what is to be sent."""
        self._call = call
        self.out += self._request

    def answers(self) -> Iterator[tuple[int, int]]:
        """The call, where its answer has come whole; its size is 0 where its status is not 200."""
        self._come += self.read()
        head, end, body = self._come.partition(b"\r\n\r\n")
        if not end or self._call is None:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not length:
            raise ConnectionError(f"an answer without a length: {head[:200]!r}")
        if len(body) >= int(length[1]):
            call, self._call, self._come = self._call, None, b""
            yield call, len(body) if head.startswith(b"HTTP/1.1 200") else 0


class Http2(_Writer):
    """Many gRPC calls at once."""

    def __init__(self, peer: socket.socket, address: str, path: str, body: bytes) -> None:
        """Sends the preface with the first flush."""
        super().__init__(peer)
        if len(body) > LARGEST_FRAME:
            raise ValueError(f"a body of {len(body):,} bytes does not fit into a frame")
        self._first = b"\x83\x86" + b"".join(
            _literal(name, value)
            for name, value in (
                *((b"\x44", path), (b"\x41", address), (b"\x5f", "application/grpc")),
                (b"\x40\x02te", "trailers"),
            )
        )
        self._next_headers = self._first
        self._body = body
        self._stream, self._window, self._most = 1, FIRST_WINDOW, STREAMS
        self._open: dict[int, list[int]] = {}
        self._come, self._taken = b"", 0
        self.out += PREFACE + frame(SETTINGS, 0, 0, b"")
        self.out += frame(WINDOW_UPDATE, 0, 0, (LARGEST_WINDOW - FIRST_WINDOW).to_bytes(4, "big"))

    def has_room(self) -> bool:
        """Whether the server takes another stream and its bytes."""
        return len(self._open) < self._most and self._window >= len(self._body)

    def ask(self, call: int) -> None:
        """Puts a call into what is to be sent."""
        self._open[self._stream] = [call, 0]
        self.out += frame(HEADERS, END_HEADERS, self._stream, self._next_headers)
        self.out += frame(DATA, END_STREAM, self._stream, self._body)
        self._next_headers = b"\x83\x86\xc1\xc0\xbf\xbe"  # the four that the first request put into the table
        self._stream += 2
        self._window -= len(self._body)

    def answers(self) -> Iterator[tuple[int, int]]:
        """Calls whose streams have ended."""
        come, at = self._come + self.read(), 0
        while len(come) - at >= 9:
            end = at + 9 + (come[at] << 16 | come[at + 1] << 8 | come[at + 2])
            if len(come) < end:
                break
            kind, flags = come[at + 3], come[at + 4]
            if kind in {DATA, HEADERS, RESET}:
                stream = int.from_bytes(come[at + 5 : at + 9], "big")
                if kind == DATA:
                    self._open[stream][1] += end - at - 9
                    self._taken += end - at - 9
                if kind == RESET or flags & END_STREAM:
                    call, size = self._open.pop(stream)
                    yield call, 0 if kind == RESET else size
            else:
                self._control(kind, flags, come[at + 5 : at + 9], come[at + 9 : end])
            at = end
        self._come = come[at:]
        if self._taken > GIVEN_BACK_BYTES:
            self.out += frame(WINDOW_UPDATE, 0, 0, self._taken.to_bytes(4, "big"))
            self._taken = 0

    def _control(self, kind: int, flags: int, stream: bytes, payload: bytes) -> None:
        """Frames that are about the connection."""
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                if int.from_bytes(payload[at : at + 2], "big") == MAX_CONCURRENT_STREAMS:
                    self._most = min(STREAMS, int.from_bytes(payload[at + 2 : at + 6], "big"))
            self.out += frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self.out += frame(PING, ACK, 0, payload)
        elif kind == WINDOW_UPDATE and not any(stream):
            self._window += int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            raise ConnectionError(f"the server sends the connection away: {payload[4:]!r}")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """As HTTP/2 has them."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: str) -> bytes:
    """A header that goes into the dynamic table."""
    if len(value) > 126:
        raise ValueError(f"a header of {len(value)} bytes is too long")
    return name + bytes((len(value),)) + value.encode()
