"""A service as a table of methods, which any transport can serve.

A method's function gets decoded requests and a `CallContext`, and returns a message (or yields messages) or raises a
`DomainError`. Cancelling the call cancels the function.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from vouch.server.counting.statistics import Requests
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.protobuf import FEW_BYTES, check_fields
from vouch.server.rpc.soon import Parts

Serialized = bytes | memoryview
NO_METHOD = ""
"""The path under which calls of unknown methods are counted, instead of a caller's text."""
WireStream = Callable[[AsyncIterator[Sequence[Serialized]], CallContext], AsyncGenerator[list[Parts], None]]


@dataclass(frozen=True)
class Method:
    """One RPC."""

    path: str
    """`/package.Service/Method`."""
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool
    function: Callable[[Any, CallContext], Any]
    """(request, or an async iterator of requests, context) -> an awaitable response, or an async iterator of them."""
    while_draining: bool = False
    """Whether it is answered until the process ends, without passing the gate."""
    wire: Callable[[Serialized, CallContext], Parts | Awaitable[Parts]] | None = None
    """Unary: the same from a serialized request to a serialized response, for methods where that pays. Returns the
    parts or a `Soon` if there is nothing to wait for."""
    wire_stream: WireStream | None = None
    """Bidirectional streaming: the same from serialized requests, in the groups in which they arrive, to serialized
    responses, in groups that can be sent together. Each message of such a stream is counted as a request."""
    requests: Requests = field(default_factory=Requests)
    """Counts of requests that concern no served version."""

    def count(self, code: int, began_ns: int, context: CallContext | None = None) -> None:
        """Counts a request that has ended.

        Args:
            code: gRPC's status code.
            began_ns: by time.perf_counter_ns.
            context: None if the call ended before it had one.
        """
        counted_in = context.counted_in if context is not None else None
        (counted_in or self.requests).add(self.path, code, perf_counter_ns() - began_ns)

    def decode(self, request: Serialized) -> Message:
        """Parses a request.

        Raises:
            InvalidRequest: the bytes are not such a message, or have too many fields.
        """
        if len(request) > FEW_BYTES:
            check_fields(request, self.request.DESCRIPTOR)
        try:
            return self.request.FromString(request)  # type: ignore[arg-type]  # takes any buffer
        except DecodeError as err:
            raise InvalidRequest(f"the request is not a {self.request.DESCRIPTOR.full_name} message") from err


def no_method() -> Method:
    """The entry that counts calls of unknown methods; its function is never called."""

    async def function(request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    return Method(NO_METHOD, Empty, Empty, client_streaming=True, server_streaming=True, function=function)


def methods(service: ServiceDescriptor, implementation: object, while_draining: bool = False) -> list[Method]:
    """The table of a service: one entry per RPC for which the implementation has a function of the same name.

    Other RPCs are answered UNIMPLEMENTED: a later release of a dependency may add RPCs to its services.
    """
    return [
        Method(
            path=f"/{service.full_name}/{method.name}",
            request=GetMessageClass(method.input_type),
            response=GetMessageClass(method.output_type),
            client_streaming=method.client_streaming,
            server_streaming=method.server_streaming,
            function=getattr(implementation, method.name),
            while_draining=while_draining,
        )
        for method in service.methods
        if hasattr(implementation, method.name)
    ]
