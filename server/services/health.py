"""grpc.health.v1.Health over the server's readiness: Check and Watch."""

from collections.abc import AsyncIterator, Iterable

from grpc_health.v1 import health_pb2 as pb

from vouch.server.errors import UnknownModel
from vouch.server.readiness import Readiness
from vouch.server.services.table import CallContext, Method, methods


class Health:
    """The service's functions, by the names of its RPCs. All services share one answer, as they share one data path."""

    def __init__(self, readiness: Readiness, services: Iterable[str]) -> None:
        """
        Args:
            services: full names of the services that may be asked about, beside "" for the whole server.
        """
        self._readiness = readiness
        self._services = {"", *services}

    def methods(self) -> list[Method]:
        """The service as a table."""
        return methods(pb.DESCRIPTOR.services_by_name["Health"], self, while_draining=True)

    async def Check(self, request: pb.HealthCheckRequest, context: CallContext) -> pb.HealthCheckResponse:
        """SERVING or NOT_SERVING; NOT_FOUND for a service that is not here, as the protocol wants."""
        if request.service not in self._services:
            raise UnknownModel(f"there is no service {request.service!r}")
        return _response(self._readiness.ready)

    async def Watch(
        self, request: pb.HealthCheckRequest, context: CallContext
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The answer now and after each change; ends when the server drains."""
        known = request.service in self._services
        async for ready in self._readiness.changes():
            yield _response(ready) if known else pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN)


def _response(ready: bool) -> pb.HealthCheckResponse:
    return pb.HealthCheckResponse(
        status=pb.HealthCheckResponse.SERVING if ready else pb.HealthCheckResponse.NOT_SERVING
    )
