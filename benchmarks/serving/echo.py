"""grpcio's asyncio server by itself: `python -m benchmarks.serving.echo PORT` answers each message with its bytes."""

import sys
from typing import Any

import grpc
import uvloop


async def serve(port: int) -> None:
    """Until it is killed."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])

    async def echo(request: bytes, _: object) -> bytes:
        return request

    handlers: dict[str, Any] = {"ModelInfer": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
