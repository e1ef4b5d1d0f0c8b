"""HTTP/2 frames as bytes, right ones and wrong ones; knows nobody who sends them.

https://www.rfc-editor.org/rfc/rfc9113 and, for headers, https://www.rfc-editor.org/rfc/rfc7541.
"""

from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED = 4, 8
CANCEL = (8).to_bytes(4, "big")
INITIAL_WINDOW_SIZE = 4
MAX_WINDOW = (1 << 31) - 1
MAX_FRAME = 1 << 14
"""Of a payload, where nothing else was said."""
INFER = "/inference.GRPCInferenceService/ModelInfer"
PREDICT = "/vouch.v1.Classifier/Predict"
INDEXED = b"\x80"
"""A header that is a reference to a table, by the number in the lower bits."""
ADDED = b"\x40"
"""A header with a name of its own that goes into the receiver's table; as `LITERAL` otherwise."""
LITERAL = b"\x00"
FIRST_ADDED = 62
"""Where the header that was added last is in the receiver's table."""


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def opening(*settings: tuple[int, int]) -> bytes:
    """How a client begins a connection."""
    entries = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings)
    return PREFACE + frame(SETTINGS, entries)


def integer(value: int, prefix_bits: int) -> bytes:
    """As HPACK writes it, with nothing in the first byte's other bits."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([value])
    written, value = bytearray([most]), value - most
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def field(name: str, value: str, how: bytes = LITERAL) -> bytes:
    """A header, as long as it is written out."""
    return how + integer(len(name), 7) + name.encode() + integer(len(value), 7) + value.encode()


def block(path: str = PREDICT, how: bytes = LITERAL) -> bytes:
    """The headers of a gRPC call."""
    usual = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"))
    return b"".join(field(*one, how) for one in (*usual, ("te", "trailers"), ("content-type", "application/grpc")))


ADDED_BLOCK = block(how=ADDED)
SHORT_BLOCK = bytes(INDEXED[0] | FIRST_ADDED + at for at in reversed(range(6)))
"""The same once more on a connection that began with `ADDED_BLOCK`: a byte for each header."""


def headers(stream: int, fields: bytes = SHORT_BLOCK, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, fields, stream, flags)


def message(content: bytes, compressed: bool = False) -> bytes:
    """A gRPC message: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md."""
    return bytes([compressed]) + len(content).to_bytes(4, "big") + content


def window_update(more: int, stream: int = 0) -> bytes:
    return frame(WINDOW_UPDATE, more.to_bytes(4, "big"), stream)


def streams(count: int) -> Iterable[int]:
    """Numbers of as many streams as a client opens one after the other."""
    return range(1, 2 * count, 2)
