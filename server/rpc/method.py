"""A service as a table of methods, which any transport can bind.

A method's function gets decoded requests and a `CallContext`, and returns a message (or yields messages) or raises a
`DomainError`. Cancelling the call cancels the function.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from vouch.server.budget import Hold
from vouch.server.counting.statistics import Requests
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.protobuf import FEW_BYTES, check_fields
from vouch.server.rpc.soon import Parts

Serialized = bytes | memoryview


OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED = 0, 1, 2, 4
"""gRPC's codes of calls that are no errors of ours; those of errors stand in `status`."""
NO_METHOD = ""
"""The path under which calls of methods that are not there are counted, in place of a caller's text."""
ROUNDING_S, ROUNDING_SHARE = 0.01, 0.01
"""Of a deadline as a caller sends it: gRPC's core rounds up to three digits."""

Metadata = Mapping[str, str | bytes]


@dataclass(eq=False, slots=True)
class CallContext:
    """What a call carries beside its message, and what is noted of it for those who count."""

    deadline: float | None = None
    """In the event loop's time; None where the caller waits for ever."""
    metadata: Metadata = field(default_factory=dict)
    """The caller's own headers."""
    peer: str = ""
    """The caller's address, as gRPC writes it."""
    hold: Hold = field(default_factory=Hold)
    """What the worker holds for this call; given back when the answer has been written."""
    counted_in: Requests | None = None
    """Of the version that it is about; None as long as none was found."""
    code: int = OK
    """Of an answer within a stream, which may tell of an error and be an answer all the same."""

    def is_due(self, took_s: float) -> bool:
        """Whether the caller's deadline has come, `took_s` after its call."""
        if self.deadline is None:
            return False
        left_s = self.deadline - asyncio.get_running_loop().time()
        return left_s <= ROUNDING_S + ROUNDING_SHARE * (took_s + left_s)

    def of_one(self, hold: Hold | None = None) -> "CallContext":
        """For one message of a stream: the same, with nothing noted.

        Args:
            hold: its own; None: the call's.
        """
        return CallContext(self.deadline, self.metadata, self.peer, hold or self.hold)


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
    """Answered until the very end, past the gate."""
    wire: Callable[[Serialized, CallContext], Parts | Awaitable[Parts]] | None = None
    """Unary: the same from a serialized request to a serialized response, for methods whose messages are worth it; the
    parts themselves or a `Soon` where nothing has to be waited for. The context has the deadline alone."""
    wire_stream: WireStream | None = None
    """Streaming both ways: the same from serialized requests, as many at a time as have come together, to serialized
    responses, as many as can go out together. Such a stream's messages are counted, each as a request."""
    requests: Requests = field(default_factory=Requests)
    """Counted here: those about no version that is served."""

    def count(self, code: int, began_ns: int, context: CallContext | None = None) -> None:
        """Counts a request that has ended.

        Args:
            code: gRPC's.
            began_ns: by time.perf_counter_ns.
            context: None where the call did not come so far.
        """
        counted_in = context.counted_in if context is not None else None
        (counted_in or self.requests).add(self.path, code, perf_counter_ns() - began_ns)

    def count_call(self, code: int, began_ns: int, context: CallContext | None = None) -> None:
        """The same at the end of any call; of streams whose messages count, only where they ended by an error.

        A caller whose deadline passes leaves, often before we see it pass: that is no cancelling.
        """
        if code or self.wire_stream is None:
            counted_in, took_ns = context.counted_in if context is not None else None, perf_counter_ns() - began_ns
            if code == CANCELLED and context is not None and context.is_due(took_ns / 1e9):
                code = DEADLINE_EXCEEDED
            (counted_in or self.requests).add(self.path, code, took_ns)

    def decode(self, request: Serialized) -> Message:
        """A request from its bytes.

        Raises:
            InvalidRequest: they are no such message, or one of too many fields.
        """
        if len(request) > FEW_BYTES:
            check_fields(request, self.request.DESCRIPTOR)
        try:
            return self.request.FromString(request)  # type: ignore[arg-type]  # takes any buffer
        except DecodeError as err:
            raise InvalidRequest(f"the request is not a {self.request.DESCRIPTOR.full_name} message") from err


def no_method() -> Method:
    """Where calls are counted that name no method of a table; its function is never called."""

    async def function(request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    return Method(NO_METHOD, Empty, Empty, client_streaming=True, server_streaming=True, function=function)


def methods(service: ServiceDescriptor, implementation: object, while_draining: bool = False) -> list[Method]:
    """The table of a service: one entry an RPC that the implementation has a function for, of the same name.

    A transport answers all others UNIMPLEMENTED: a later release of a dependency may add RPCs to its services.
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
