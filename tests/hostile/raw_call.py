"""A gRPC call written frame by frame, and how it ends."""

import socket
import time
from types import TracebackType
from typing import Self

from hpack import Decoder

from tests.hostile.frames import (
    CANCEL,
    DATA,
    END_STREAM,
    HEADERS,
    LITERAL,
    MAX_FRAME,
    PREDICT,
    RST_STREAM,
    block,
    field,
    frame,
    headers,
    opening,
    window_update,
)

WITHIN_S = 20.0
HEAD_BYTES = 9


class RawCall:
    """On a connection of its own."""

    def __init__(self, port: int, path: str = PREDICT, *more: tuple[str, str]) -> None:
        """
        Args:
            more: headers.
        """
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
        fields = block(path) + b"".join(field(*one, LITERAL) for one in more)
        self._socket.sendall(opening() + window_update(1 << 30) + headers(1, fields))
        self._decoder = Decoder(max_header_list_size=1 << 20)
        self._read = b""

    def send(self, data: bytes, last: bool = False) -> None:
        """One frame."""
        self._socket.sendall(frame(DATA, data, 1, END_STREAM * last))

    def send_all(self, data: bytes) -> None:
        """All of a body, in frames as large as they may be."""
        for at in range(0, len(data), MAX_FRAME):
            self.send(data[at : at + MAX_FRAME])
        self.send(b"", last=True)

    def cancel(self) -> None:
        """Tells that nobody waits for the answer any more."""
        self._socket.sendall(frame(RST_STREAM, CANCEL, 1))

    def ended(self, within_s: float = WITHIN_S) -> tuple[str, str]:
        """gRPC's status and its message; a word for another end."""
        self._ends = time.monotonic() + within_s
        try:
            while True:
                kind, stream, payload = self._frame()
                if kind == HEADERS:
                    told = {str(name): str(value) for name, value in self._decoder.decode(payload)}
                    if "grpc-status" in told or told.get(":status", "200") != "200":
                        return told.get("grpc-status", ""), told.get("grpc-message", told.get(":status", ""))
                if kind == RST_STREAM and stream == 1:
                    return "reset", ""
        except TimeoutError:
            return "", "nothing"
        except OSError:
            return "closed", ""

    def _frame(self) -> tuple[int, int, bytes]:
        head = self._bytes(HEAD_BYTES)
        payload = self._bytes(int.from_bytes(head[:3], "big"))
        return head[3], int.from_bytes(head[5:], "big"), payload

    def _bytes(self, count: int) -> bytes:
        while len(self._read) < count:
            self._socket.settimeout(max(0.01, self._ends - time.monotonic()))
            if not (piece := self._socket.recv(1 << 16)):
                raise ConnectionError
            self._read += piece
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self.close()
