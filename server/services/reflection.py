"""grpc.reflection.v1 and v1alpha: describes the services, so that grpcurl and similar tools need no .proto files."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2 as pb

from vouch.server.counting.statistics import Requests
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method, methods
from vouch.server.services.contracts import HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA, pool_of


class Reflection:
    """The one function of both services; the reflection package makes the answers."""

    def __init__(self, services: Iterable[str]) -> None:
        """
        Args:
            services: full names of all services except gRPC's own, health and reflection.
        """
        ours = [descriptor_pool.Default().FindServiceByName(name) for name in services]
        self._served = [*ours, HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA]

    @cached_property
    def _servicer(self) -> Any:
        """Made at the first request: it imports all of grpcio, which a worker with h2corn does not need otherwise."""
        from grpc_reflection.v1alpha.reflection import aio  # noqa: PLC0415

        return aio.ReflectionServicer([service.full_name for service in self._served], pool_of(self._served))

    def methods(self) -> list[Method]:
        """Both services as a table. Their messages have the same bytes, so v1 uses those of v1alpha."""
        names = REFLECTION_V1ALPHA.full_name, REFLECTION_V1.full_name
        table = methods(REFLECTION_V1ALPHA, self)
        return [replace(method, path=method.path.replace(*names), requests=Requests()) for method in table] + table

    def ServerReflectionInfo(
        self, requests: AsyncIterator[pb.ServerReflectionRequest], context: CallContext
    ) -> AsyncIterator[Any]:
        """One response per request."""
        answers: AsyncIterator[Any] = self._servicer.ServerReflectionInfo(requests, None)
        return answers
