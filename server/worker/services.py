"""All services of a worker as one table, which is what a transport answers. Tests serve the same table."""

from dataclasses import dataclass
from functools import partial

from vouch.server.rest.app import RestApp
from vouch.server.rest.guard import Guard
from vouch.server.rpc.method import Method, no_method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.health import Health
from vouch.server.services.oip.service import Inference
from vouch.server.services.oip.statistics import Total
from vouch.server.services.predictor import Predictor
from vouch.server.services.reflection import Reflection
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.settings import ServeSettings
from vouch.server.transport.limits import MakeHttp


@dataclass(frozen=True)
class ServiceParts:
    """What services are built on."""

    catalog: Catalog
    gate: Gate
    readiness: Readiness
    predictor: Predictor
    total: Total | None = None
    """What all workers have counted; None where there is only this one."""


def http_of(settings: ServeSettings) -> MakeHttp | None:
    """What answers HTTP without gRPC; None where that is not wanted."""
    if not settings.http:
        return None
    return partial(RestApp, guard=Guard(settings.host, settings.allow_host, settings.allow_origin))


def service_table(parts: ServiceParts) -> list[Method]:
    """The methods of all services."""
    services = [
        *Classifier(parts.catalog, parts.gate, parts.predictor).methods(),
        *Inference(parts.catalog, parts.gate, parts.readiness, parts.predictor, parts.total).methods(),
    ]
    names = sorted({method.path.split("/")[1] for method in services})
    return [*services, *Health(parts.readiness, names).methods(), *Reflection(names).methods(), no_method()]
