"""Every metric of a server, from the collector that gives them to Prometheus."""

from collections.abc import Iterator
from typing import Any

from docs.reference import markdown
from docs.reference.markdown import code, plain, prose, table
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import Requests
from vouch.server.supervisor.metrics import StateCollector
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.state import State, Surroundings, build_info

ABOUT = """
At `GET /metrics` of `--metrics-port` ([http.md](http.md)), summed over all workers of the server. Counters and
histograms never go down while the server runs, also when a worker is replaced. A histogram has the series `_bucket`,
`_sum` and `_count`. The alerts that use them: [runbook](../how-to/runbook.md).
"""
NOTHING = State(0.0, Counts({}, Requests(), {}, {}), (), 0, 0, (), (), 0, 0, 0)
"""A server that has just started: all families are there, whatever was counted."""


def page() -> str:
    """metrics.md."""
    return markdown.page("Metrics", prose(ABOUT), table(["metric", "type", "labels", "what it says"], _rows()))


def _rows() -> Iterator[list[str]]:
    families: list[Any] = list(StateCollector(NOTHING, Surroundings(Found(), {}, 1), build_info("", "")).collect())
    for one in families:
        name = one.name + ("_total" if one.type == "counter" else "")
        labels = ", ".join(code(label) for label in one._labelnames)
        yield [code(name), one.type, labels, plain(one.documentation)]
