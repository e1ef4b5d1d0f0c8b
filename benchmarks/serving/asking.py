"""Makes one call at a time, over gRPC or HTTP/1.1, and returns the answer's bytes."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import grpc

from benchmarks.serving.forms import Form

INFER = "/inference.GRPCInferenceService/ModelInfer"
Ask = Callable[[bytes, float], bytes]
"""(a message, seconds to wait) -> the answer. Raises Unanswered."""


class Unanswered(Exception):
    """A call that failed, and how."""


@contextmanager
def asking(address: str, form: Form | None) -> Iterator[Ask]:
    """A connection.

    Args:
        form: in which is asked over HTTP/1.1; None for ModelInfer over gRPC.
    """
    if form is not None:
        with closing(http.client.HTTPConnection(address)) as connection:
            yield lambda message, within_s: _posted(connection, form, message, within_s)
        return
    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        call: Any = channel.unary_unary(INFER)

        def ask(message: bytes, within_s: float) -> bytes:
            try:
                answer: bytes = call(message, timeout=within_s)
            except grpc.RpcError as err:
                raise Unanswered(str(err.code())) from err
            return answer

        yield ask


def _posted(connection: http.client.HTTPConnection, form: Form, message: bytes, within_s: float) -> bytes:
    connection.timeout = within_s
    try:
        connection.request("POST", form.path, message, form.headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as err:
        connection.close()
        raise Unanswered(type(err).__name__) from err
    if response.status != http.client.OK:
        raise Unanswered(f"status {response.status}")
    return answer
