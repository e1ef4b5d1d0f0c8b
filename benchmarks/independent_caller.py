"""Calls a server without pauses until it is stopped, in a separate Python without this project.

    python independent_caller.py grpcio|tritonclient ADDRESS IMAGES.npy [retry]

Some threads, each with a channel. Stops when standard input ends, and prints JSON: the statuses of calls, and the
longest call in seconds. The addresses are gRPC's: HOST:PORT, or ipv4:HOST:PORT,HOST:PORT. With `retry`, gRPC retries a
call that ended with UNAVAILABLE.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

THREADS, DEADLINE_S = 3, 10.0
INFER = "/inference.GRPCInferenceService/ModelInfer"
POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
RETRY = ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": POLICY}]}))
Options = list[tuple[str, str | int]]
OPTIONS: Options = [
    ("grpc.use_local_subchannel_pool", 1),  # or all channels would share one connection
    ("grpc.default_authority", "localhost"),  # h2corn takes no list of addresses for a host
]


def main() -> None:
    """Prints the counts."""
    library, address, file, *retry = sys.argv[1:]
    images, options = np.load(file), [*OPTIONS, RETRY] if retry else OPTIONS
    ended: Counter[str] = Counter()
    longest_s = 0.0
    stop, lock = threading.Event(), threading.Lock()

    def work() -> None:
        nonlocal longest_s
        call = {"grpcio": with_grpcio, "tritonclient": with_tritonclient}[library](address, images, options)
        while not stop.is_set():
            began = time.monotonic()
            how = call()
            with lock:
                ended[how] += 1
                longest_s = max(longest_s, time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join(2 * DEADLINE_S)
    print(json.dumps({"ended": ended, "longest_s": longest_s}))


def with_grpcio(address: str, images: np.ndarray, options: Options) -> Callable[[], str]:
    """A call that returns its status."""
    given = asked(images)
    request = triton.service_pb2.ModelInferRequest(inputs=[given._get_tensor()], raw_input_contents=[images.tobytes()])
    infer: Any = grpc.insecure_channel(address, options).unary_unary(INFER)
    message = request.SerializeToString()

    def call() -> str:
        try:
            infer(message, timeout=DEADLINE_S)
        except grpc.RpcError as err:
            return f"{err.code().name}: {err.details()}"
        return "OK"

    return call


def with_tritonclient(address: str, images: np.ndarray, options: Options) -> Callable[[], str]:
    """Likewise."""
    client, given = triton.InferenceServerClient(address, channel_args=options), asked(images)

    def call() -> str:
        try:
            client.infer("", [given], client_timeout=DEADLINE_S)
        except InferenceServerException as err:
            return f"{err.status()}: {err.message()}"
        return "OK"

    return call


def asked(images: np.ndarray) -> triton.InferInput:
    """The input that the model takes."""
    given = triton.InferInput("images", images.shape, "UINT8")
    given.set_data_from_numpy(images)
    return given


if __name__ == "__main__":
    main()
