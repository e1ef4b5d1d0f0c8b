"""All services of a worker as one table, which a transport serves. Tests serve the same table."""

from dataclasses import dataclass
from functools import partial

from vouch.server.page.assets import asset_pages
from vouch.server.page.documents import Documents
from vouch.server.rest.app import RestApp
from vouch.server.rest.guard import Guard, is_loopback
from vouch.server.rest.route import Page
from vouch.server.rpc.method import Method, no_method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.health import Health
from vouch.server.services.oip.service import Inference
from vouch.server.services.oip.statistics import Total, counted_here
from vouch.server.services.predictor import Predictor
from vouch.server.services.reflection import Reflection
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.settings import ServeSettings
from vouch.server.transport.limits import MakeHttp


@dataclass(frozen=True)
class ServiceParts:
    """What services need."""

    catalog: Catalog
    gate: Gate
    readiness: Readiness
    predictor: Predictor
    total: Total | None = None
    """Returns the counts of all workers; None if there is only this one."""


def http_of(settings: ServeSettings, parts: ServiceParts) -> MakeHttp | None:
    """The application that answers HTTP without gRPC; None with --no-http."""
    if not settings.http:
        return None
    guard = Guard(settings.host, settings.allow_host, settings.allow_origin)
    return partial(RestApp, guard=guard, pages=_page_of(settings, parts) if settings.page else ())


def _page_of(settings: ServeSettings, parts: ServiceParts) -> list[Page]:
    """The page for people, and the documents it loads in addition to REST."""
    shows_images = is_loopback(settings.host) if settings.show_images is None else settings.show_images
    documents = Documents(parts.catalog, parts.total or counted_here(parts.catalog), shows_images)
    return [*asset_pages(), *documents.pages()]


def service_table(parts: ServiceParts) -> list[Method]:
    """The methods of all services."""
    services = [
        *Classifier(parts.catalog, parts.gate, parts.predictor).methods(),
        *Inference(parts.catalog, parts.gate, parts.readiness, parts.predictor, parts.total).methods(),
    ]
    names = sorted({method.path.split("/")[1] for method in services})
    return [*services, *Health(parts.readiness, names).methods(), *Reflection(names).methods(), no_method()]
