"""Every path that a server answers over HTTP beside gRPC."""

from docs.reference import markdown
from docs.reference.markdown import code, prose, table
from vouch.server.supervisor.status_server import METRICS, READY

METRICS_PORT = {
    METRICS: "The [metrics](metrics.md), in Prometheus' text format or OpenMetrics, by the request's Accept header.",
    READY: "200 while calls should be sent to this server, else 503. After SIGTERM it is 503 at once.",
}


def page() -> str:
    """http.md."""
    rows = ([code(f"GET {path}"), text] for path, text in METRICS_PORT.items())
    return markdown.page(
        "HTTP paths",
        "## The metrics port (`--metrics-port`)",
        prose("HTTP/1.1 without TLS, for Prometheus and load balancers; HEAD is answered too."),
        table(["path", "answer"], rows),
    )
