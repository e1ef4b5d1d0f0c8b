"""grpc.reflection.v1alpha: what services there are, so that grpcurl and its like need no .proto files."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha.reflection import aio

from vouch.server.services.table import CallContext, Method, methods


class Reflection:
    """The service's one function; the answers are the reflection package's own."""

    def __init__(self, services: Iterable[str]) -> None:
        """
        Args:
            services: full names of all services but this one.
        """
        name = pb.DESCRIPTOR.services_by_name["ServerReflection"].full_name
        self._servicer = aio.ReflectionServicer([*services, name])

    def methods(self) -> list[Method]:
        """The service as a table."""
        return methods(pb.DESCRIPTOR.services_by_name["ServerReflection"], self)

    def ServerReflectionInfo(
        self, requests: AsyncIterator[pb.ServerReflectionRequest], context: CallContext
    ) -> AsyncIterator[Any]:
        """One answer a question."""
        answers: AsyncIterator[Any] = self._servicer.ServerReflectionInfo(requests, None)
        return answers
