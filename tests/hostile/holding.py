"""Callers who keep what a server gave them: `python -m tests.hostile.holding WHAT PORT CALLERS [BYTES]`.

Each has a connection and a call of its own, sends as much as the server has room for, and then stays. They keep to
HTTP/2's flow control, and give way to other processes, as tests.hostile.attacker does.
"""

import os
import selectors
import socket
import sys
import time
from contextlib import suppress

from h2.connection import H2Connection
from h2.exceptions import ProtocolError

from tests.hostile.attacker import NICE
from tests.hostile.frames import PREDICT
from tests.support.tiny import tiny_images
from vouch.protos.inference import inference_pb2 as infer
from vouch.protos.vouch.v1 import classifier_pb2 as pb

BODY_BYTES = 20_000_000
ANSWERS = 160
"""Of 640 kB each: 100 MB."""
INFER_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
STREAM = "/vouch.v1.Classifier/PredictStream"
QUIET_S = 0.5
"""Nothing to send for so long means that the server has no room."""


def unfinished(size: int) -> tuple[str, bytes]:
    """A message of so many bytes but for its last one."""
    return PREDICT, b"\0" + size.to_bytes(4, "big") + bytes(size - 1)


def wide(size: int) -> tuple[str, bytes]:
    """300 requests whose answers have so many bytes, by a model of 1,000 classes."""
    images = size // 8000
    tensor = infer.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=[images, 4, 4])
    request = infer.ModelInferRequest(model_name="wide", inputs=[tensor], raw_input_contents=[bytes(16 * images)])
    body = request.SerializeToString()
    return INFER_STREAM, (b"\0" + len(body).to_bytes(4, "big") + body) * 300


def unread(_: int) -> tuple[str, bytes]:
    """Requests whose answers are larger than they are."""
    images = tiny_images(16_384)[0]
    one = pb.PredictRequest(raw=pb.RawImages(pixels=images.tobytes(), shape=images.shape), top_k=3)
    request = pb.PredictStreamRequest(request=one).SerializeToString()
    return STREAM, (b"\0" + len(request).to_bytes(4, "big") + request) * ANSWERS


class Caller:
    """One call."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        self._left = memoryview(body)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.http = H2Connection()
        self.http.initiate_connection()
        head = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        self.http.send_headers(1, [*head, ("te", "trailers"), ("content-type", "application/grpc")])

    def go_on(self) -> bool:
        """Whether anything was sent."""
        with suppress(OSError, ProtocolError):  # refused, perhaps
            while self._left and (room := self.http.local_flow_control_window(1)):
                count = min(room, self.http.max_outbound_frame_size, len(self._left))
                self.http.send_data(1, self._left[:count].tobytes())
                self._left = self._left[count:]
            if data := self.http.data_to_send():
                self.socket.sendall(data)
                return True
        return False

    def hear(self) -> bool:
        """What the server says of its room; False at the end."""
        with suppress(OSError, ProtocolError):
            data = self.socket.recv(1 << 16)
            self.http.receive_data(data)
            return bool(data)
        return False


def hold(what: str, port: int, count: int, size: int) -> None:
    path, body = {"unfinished": unfinished, "unread": unread, "wide": wide}[what](size)
    waiting = selectors.DefaultSelector()
    callers = [Caller(port, path, body) for _ in range(count)]
    for one in callers:
        waiting.register(one.socket, selectors.EVENT_READ, one)
        one.go_on()
    print("begun", flush=True)
    moved, is_held = time.monotonic(), False
    while True:
        for key, _ in waiting.select(timeout=0.1):
            if not key.data.hear():
                waiting.unregister(key.fileobj)
            elif key.data.go_on():
                moved = time.monotonic()
        if not is_held and time.monotonic() > moved + QUIET_S:
            is_held = True
            print("held", flush=True)


if __name__ == "__main__":
    os.nice(NICE)
    hold(sys.argv[1], *map(int, [*sys.argv, str(BODY_BYTES)][2:5]))
