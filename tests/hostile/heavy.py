"""Callers who make a server hold much: `python -m tests.hostile.heavy NAME PORT SCALE`.

Sent again and again until this is ended; how the calls ended is said on each round. It gives way to other processes, as
tests.hostile.attacker does.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.hostile.attacker import NICE
from tests.hostile.images import chunk, png
from vouch.protos.vouch.v1 import classifier_pb2 as pb

LARGE, WIDE = "large", "wide"
"""Models: of 224 x 224 in colour; of 1,000 classes."""
CALL_S = 30.0
Send = Callable[[grpc.Channel, float], Iterable[Any]]
"""(connection, how much of the full size) -> calls that have begun."""


def predict(channel: grpc.Channel, files: list[bytes], model: str = LARGE) -> Any:
    call: Any = channel.unary_unary("/vouch.v1.Classifier/Predict")
    request = pb.PredictRequest(model=model, encoded=pb.EncodedImages(files=files))
    return call.future(request.SerializeToString(), timeout=CALL_S)


def tiny_files(channel: grpc.Channel, scale: float) -> Iterable[Any]:
    """1.1 MB of tiny files, that become 2.4 GB of images; and as many as are just taken, ten times."""
    one = png(4, 4, bits=8)
    for count in (int(16_384 * scale), *[int(1000 * scale)] * 10):
        yield predict(channel, [one] * count)


def large_pictures(channel: grpc.Channel, scale: float) -> Iterable[Any]:
    """250 KB, that become 64 million pixels; and a seventh of that, eight times."""
    for side in (8000, *[3000] * 8):
        yield predict(channel, [png(int(side * scale**0.5), side, bits=8, colour=2)])


def many_files(channel: grpc.Channel, scale: float) -> Iterable[Any]:
    """60 calls at once, each with a file of 27 MB."""
    file = png(4, 4, bits=8, more=chunk(b"tEXt", b"a\0" + bytes(int(27e6 * scale))))
    for _ in range(60):
        yield predict(channel, [file])


def evaluations(channel: grpc.Channel, _: float) -> Iterable[Any]:
    """200 at once, of a split of 38 MB."""
    call: Any = channel.unary_stream("/vouch.v1.Classifier/Evaluate")
    request = pb.EvaluateRequest(model=LARGE).SerializeToString()
    return [call(request, timeout=CALL_S) for _ in range(200)]


HEAVY: Mapping[str, Send] = {
    "tiny files": tiny_files,
    "large pictures": large_pictures,
    "many files": many_files,
    "evaluations": evaluations,
}


def ended(call: Any) -> str:
    """The name of its status code."""
    if hasattr(call, "__iter__"):
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass
    return str(call.code().name)


def rounds(send: Send, port: int, scale: float) -> None:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel, ThreadPoolExecutor(250) as threads:
        print("begun", flush=True)
        while True:
            print(json.dumps(Counter(threads.map(ended, list(send(channel, scale))))), flush=True)


if __name__ == "__main__":
    os.nice(NICE)
    rounds(HEAVY[sys.argv[1]], int(sys.argv[2]), float(sys.argv[3]))
