"""grpcio's asyncio server by itself: `python -m benchmarks.echo PORT [MODEL.onnx]` answers each message with its bytes.

With a model, its pixels are run before: what is left of the echo when there is something to do.
"""

import sys
from collections.abc import Callable
from math import prod
from typing import Any

import grpc
import numpy as np
import uvloop


def running(model: str) -> Callable[[bytes], object]:
    """Runs the images of a message, whose pixels are its end, in one thread."""
    import onnxruntime as ort  # noqa: PLC0415 - the bare echo does without

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (read,) = session.get_inputs()
    shape = tuple(read.shape[1:])
    size = prod(shape)

    def run(message: bytes) -> object:
        images = np.ndarray((len(message) // size, *shape), np.uint8, message, len(message) % size)
        return session.run(None, {read.name: images})

    return run


async def serve(port: int, run: Callable[[bytes], object] = lambda message: None) -> None:
    """Until it is killed."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])

    async def echo(request: bytes, _: object) -> bytes:
        run(request)
        return request

    handlers: dict[str, Any] = {"ModelInfer": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), *map(running, sys.argv[2:])))
