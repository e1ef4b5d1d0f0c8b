"""Every path that a server answers over HTTP beside gRPC, from the tables that answer them."""

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

from docs.reference import markdown
from docs.reference.markdown import code, plain, prose, table
from vouch.server.page.assets import asset_pages
from vouch.server.page.documents import Documents
from vouch.server.rest.headers import OF_ANSWERS, OF_PROBLEMS, Header
from vouch.server.rest.openapi import PATH
from vouch.server.rest.problem import AGAIN_LATER, CODES, MEDIA_TYPE, RETRY_AFTER_S
from vouch.server.rest.route import Route
from vouch.server.rest.table import rest_routes
from vouch.server.rpc.status import CODES as GRPC_CODES
from vouch.server.services.oip.statistics import counted_here
from vouch.server.serving.catalog import Catalog
from vouch.server.supervisor.status_server import METRICS, READY

ON_THE_PORT = f"""
REST is on the port of gRPC (`--port`), over HTTP/1.1 and HTTP/2, with the transport h2corn; `--no-http` leaves it out.
Each path calls an [RPC](rpc.md) and has its limits and errors. `GET {PATH}` describes all of them, with the schemas of
requests and answers (OpenAPI 3.1).
"""
THE_PAGE = f"""
The [page](../how-to/serve.md#the-page) is on the same port; `--no-page` leaves it out. It uses REST and the paths
below. They may change with the page, so `{PATH}` does not list them. Report and examples are refused with 403 if the
page does not show images (`--show-images`).
"""
PROBLEMS = f"""
An error is a problem document (RFC 9457, `{MEDIA_TYPE}`): `title`, `status`, `detail`, and `error` with the same
text. With {" and ".join(str(one.value) for one in AGAIN_LATER)}, the header `retry-after` is {RETRY_AFTER_S} (seconds).
"""
METRICS_PORT = {
    METRICS: "The [metrics](metrics.md), in Prometheus' text format or OpenMetrics, by the request's Accept header.",
    READY: "200 while calls should be sent to this server, else 503. After SIGTERM it is 503 at once.",
}


def page() -> str:
    """http.md."""
    return markdown.page("HTTP paths", *_blocks())


def _blocks() -> Iterator[str]:
    yield "## REST"
    yield prose(ON_THE_PORT)
    routes = rest_routes()
    yield table(["path", "what it does", "RPC", "in the query"], map(_row, routes))
    if options := {name: schema for route in routes for name, schema in route.documented.query.items()}:
        header = ["in the query", "meaning"]
        yield table(header, ([code(name), plain(schema["description"])] for name, schema in options.items()))
    header = ["header of a request", "meaning"]
    yield table(header, ([code(one.name), plain(one.description)] for one in _unique(routes, lambda one: one.headers)))
    header = ["header of an answer", "meaning"]
    sent = _unique(routes, lambda one: (*one.documented.headers_of_answer, *OF_ANSWERS, *OF_PROBLEMS))
    yield table(header, ([code(one.name), plain(one.description)] for one in sent))
    yield "### Errors"
    yield prose(PROBLEMS)
    yield table(["code", "means", "over gRPC"], _codes())
    yield "## The page"
    yield prose(THE_PAGE)
    yield table(["path", "answer"], _page_rows())
    yield "## The metrics port (`--metrics-port`)"
    yield prose("HTTP/1.1 without TLS, for Prometheus and load balancers; HEAD is answered too.")
    yield table(["path", "answer"], ([code(f"GET {path}"), text] for path, text in METRICS_PORT.items()))


def _unique(routes: Sequence[Route], headers: Callable[[Route], Sequence[Header]]) -> list[Header]:
    return list({one.name: one for route in routes for one in headers(route)}.values())


def _row(route: Route) -> list[str]:
    said = route.documented
    return [
        code(f"{route.verb} {route.path}"),
        plain(said.summary),
        code(route.rpc.rpartition("/")[2]),
        ", ".join(map(code, said.query)),
    ]


def _page_rows() -> Iterator[list[str]]:
    """A row for each summary: the page's files share one."""
    catalog = Catalog()
    pages = [*asset_pages(), *Documents(catalog, counted_here(catalog), shows_images=True).pages()]
    for summary in dict.fromkeys(page.summary for page in sorted(pages, key=lambda page: page.path)):
        paths = [code(f"{page.verb} {page.path}") for page in pages if page.summary == summary]
        yield [", ".join(paths), plain(summary)]


def _codes() -> Iterator[list[str]]:
    """HTTP's codes, and those that gRPC has for the same errors; an unexpected error is 500."""
    for status in sorted({*CODES.values(), HTTPStatus.INTERNAL_SERVER_ERROR}):
        same = {GRPC_CODES[error].name for error, its in CODES.items() if its is status}
        yield [str(status.value), status.phrase, ", ".join(map(code, sorted(same or {"INTERNAL"})))]
