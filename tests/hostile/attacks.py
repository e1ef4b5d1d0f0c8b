"""What a hostile client sends, as bytes prepared beforehand: a table of attacks by name."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from tests.hostile.frames import (
    ACK,
    ADDED,
    ADDED_BLOCK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_STREAM,
    FIRST_ADDED,
    GOAWAY,
    INDEXED,
    INFER,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME,
    PADDED,
    PING,
    PREDICT,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    block,
    field,
    frame,
    headers,
    message,
    opening,
    streams,
    window_update,
)

MANY_STREAMS = 50_000
CHUNK_BYTES = 1 << 18
"""Of what is sent again and again."""


class Then(Enum):
    """What follows when all has been sent."""

    AGAIN = auto()
    """The second part once more, as long as the connection lasts."""
    ANEW = auto()
    """Another connection."""
    STAY = auto()
    """Nothing, on an open connection."""


@dataclass(frozen=True)
class Attack:
    """What is sent on each of its connections."""

    begin: bytes
    second: bytes = b""
    then: Then = Then.AGAIN
    reads: bool = True
    """Whether it takes what it is sent."""


def again(one: bytes) -> bytes:
    """As often as makes sending worth it."""
    return one * max(1, CHUNK_BYTES // len(one))


def each(*frames: bytes, count: int = MANY_STREAMS) -> bytes:
    """These frames of a stream, on one after the other."""
    return b"".join(
        one[:5] + stream.to_bytes(4, "big") + one[9:] for stream in list(streams(count))[1:] for one in frames
    )


IMAGE = b"\x1a\x17\x0a\x10" + bytes(16) + b"\x12\x03\x01\x04\x04"
"""A PredictRequest with one image of 4 x 4."""
BODY = frame(DATA, message(IMAGE), 1, END_STREAM)
RESET = frame(RST_STREAM, CANCEL, 1)
BEGIN = opening()
FIRST = BEGIN + headers(1, ADDED_BLOCK)
"""A call that waits for its body; those behind it need a byte for each header."""
LONG = bytes([INDEXED[0] | FIRST_ADDED])
"""A reference to a header of 4,000 bytes, behind `headers(1, BOMB)`."""
BOMB = block() + field("a", "x" * 4000, ADDED)
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(193))
SIZES = b"".join(opening((INITIAL_WINDOW_SIZE, size))[len(PREFACE) :] for size in (0, 1 << 30))


def bomb(content: bytes, path: str) -> Attack:
    """Calls whose one message becomes a thousand times as long when it is inflated."""
    body = message(gzip.compress(content, 9), compressed=True)
    pieces = [body[at : at + MAX_FRAME] for at in range(0, len(body), MAX_FRAME)]
    data = [frame(DATA, piece, 1, END_STREAM * (piece is pieces[-1])) for piece in pieces]
    compressed = block(path) + field("grpc-encoding", "gzip")
    return Attack(BEGIN, each(headers(1, compressed), *data, count=20), Then.ANEW)


def posted(path: str, body: bytes) -> bytes:
    """A request over HTTP/1.1."""
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


ATTACKS: Mapping[str, Callable[[], Attack]] = {
    "rapid reset": lambda: Attack(FIRST, each(headers(1), RESET), Then.ANEW),
    "calls that are reset": lambda: Attack(FIRST, each(headers(1), BODY, RESET), Then.ANEW),
    "calls that the server has to reset": lambda: Attack(FIRST, each(headers(1), window_update(0, 1)), Then.ANEW),
    "calls without an end": lambda: Attack(FIRST, each(headers(1)), Then.STAY),
    "SETTINGS": lambda: Attack(BEGIN, again(frame(SETTINGS))),
    "SETTINGS, unread": lambda: Attack(FIRST, again(SIZES), reads=False),
    "SETTINGS that nobody asked for": lambda: Attack(BEGIN, again(frame(SETTINGS, flags=ACK))),
    "PING": lambda: Attack(BEGIN, again(frame(PING, bytes(8)))),
    "PING, unread": lambda: Attack(BEGIN, again(frame(PING, bytes(8))), reads=False),
    "CONTINUATION": lambda: Attack(BEGIN + headers(1, block(), 0), again(frame(CONTINUATION, field("a", "b"), 1))),
    "empty CONTINUATION": lambda: Attack(BEGIN + headers(1, block(), 0), again(frame(CONTINUATION, b"", 1))),
    "empty DATA": lambda: Attack(FIRST, again(frame(DATA, b"", 1))),
    "padded DATA": lambda: Attack(FIRST, again(frame(DATA, b"\xff" + bytes(255), 1, PADDED))),
    "WINDOW_UPDATE": lambda: Attack(BEGIN, again(window_update(1))),
    "WINDOW_UPDATE of a stream": lambda: Attack(FIRST, again(window_update(1, 1))),
    "PRIORITY": lambda: Attack(BEGIN, again(frame(PRIORITY, bytes(4) + b"\x10", 3))),
    "frames of no known kind": lambda: Attack(BEGIN, again(frame(0xF0, bytes(16)))),
    "GOAWAY": lambda: Attack(BEGIN, again(frame(GOAWAY, bytes(8)))),
    "header bomb": lambda: Attack(
        BEGIN + headers(1, BOMB), each(headers(1, block() + LONG * 15_000), count=100), Then.ANEW
    ),
    "20 KiB of headers": lambda: Attack(
        BEGIN, each(headers(1, block() + field("a", "x" * 20_000)), count=100), Then.ANEW
    ),
    "many headers": lambda: Attack(BEGIN, each(headers(1, block() + field("a", "b") * 3000), count=500), Then.ANEW),
    "connections": lambda: Attack(BEGIN, then=Then.ANEW),
    "half a preface": lambda: Attack(PREFACE[:11], then=Then.ANEW),
    "garbage": lambda: Attack(bytes(range(256)) * 8, then=Then.ANEW),
    "TLS": lambda: Attack(TLS_HELLO, then=Then.ANEW),
    "HTTP/1.1 in a row": lambda: Attack(b"", again(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    "JSON of zeros": lambda: Attack(b"", posted("/v2/models/tiny/infer", b'{"inputs": [%b0]}' % (b"0," * (2_000_000)))),
    "JSON of lists": lambda: Attack(b"", posted("/v2/models/tiny/infer", b'{"inputs": [%b0]}' % (b"[]," * 60_000))),
    "bombs of zeros": lambda: bomb(bytes(60 << 20), PREDICT),
    "bombs of fields": lambda: bomb(b"\x08\x01" * (30 << 20), PREDICT),
    "bombs of zeros to ModelInfer": lambda: bomb(bytes(60 << 20), INFER),
    "bombs of fields to ModelInfer": lambda: bomb(b"\x08\x01" * (30 << 20), INFER),
}
