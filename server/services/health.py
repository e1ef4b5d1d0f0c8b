"""grpc.health.v1.Health over the server's readiness: Check, List and Watch."""

from collections.abc import AsyncIterator, Iterable

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2 as pb

from vouch.server.errors import UnknownModel, quoted
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method, methods
from vouch.server.services.contracts import HEALTH
from vouch.server.serving.readiness import Readiness

HealthListResponse = GetMessageClass(HEALTH.file.message_types_by_name["HealthListResponse"])


class Health:
    """The service's functions, by the names of its RPCs. All services share one answer, as they share one data path."""

    def __init__(self, readiness: Readiness, services: Iterable[str]) -> None:
        """
        Args:
            services: full names of the services that can be checked, in addition to "" for the whole server.
        """
        self._readiness = readiness
        self._services = {"", *services}

    def methods(self) -> list[Method]:
        """The service as a table."""
        return methods(HEALTH, self, while_draining=True)

    async def Check(self, request: pb.HealthCheckRequest, context: CallContext) -> pb.HealthCheckResponse:
        """SERVING or NOT_SERVING; NOT_FOUND for an unknown service, as the protocol requires."""
        if request.service not in self._services:
            raise UnknownModel(f"there is no service {quoted(request.service)}")
        return _response(self._readiness.ready)

    async def List(self, request: Message, context: CallContext) -> Message:
        """The result of Check for each service, by its name."""
        status = _status(self._readiness.ready)
        return HealthListResponse(statuses={service: {"status": status} for service in self._services})

    async def Watch(
        self, request: pb.HealthCheckRequest, context: CallContext
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The status now and after each change; ends when the server drains."""
        known = request.service in self._services
        async for ready in self._readiness.changes():
            yield _response(ready) if known else pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN)


def _response(ready: bool) -> pb.HealthCheckResponse:
    return pb.HealthCheckResponse(status=_status(ready))


def _status(ready: bool) -> pb.HealthCheckResponse.ServingStatus:
    return pb.HealthCheckResponse.SERVING if ready else pb.HealthCheckResponse.NOT_SERVING
