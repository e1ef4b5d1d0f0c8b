"""Questions to a real Prometheus: the alerts that fire, and what the dashboard's expressions return."""

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy/grafana/dashboards/vouch.json"


def expressions() -> list[tuple[str, str]]:
    """(title of the panel, expression with every model chosen) of all panels, and of the dashboard's variable."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [
        (panel["title"], target["expr"].replace("$model", ".*"))
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]
    return [*found, ("the models to choose from", "group by (model) (vouch_accuracy_claim)")]


def without_series(prometheus: str) -> list[str]:
    """The expressions that return nothing, or that Prometheus does not take."""
    return [f"{title}: {expression}" for title, expression in expressions() if not query(prometheus, expression)]


def query(prometheus: str, expression: str) -> list[dict[str, Any]]:
    """The series of this moment."""
    found: list[dict[str, Any]] = ask(prometheus, "query?" + urllib.parse.urlencode({"query": expression}))["result"]
    return found


def firing(prometheus: str) -> set[str]:
    """Names of alerts."""
    return {alert["labels"]["alertname"] for alert in alerts(prometheus) if alert["state"] == "firing"}


def alerts(prometheus: str) -> list[dict[str, Any]]:
    """All that fire, or will when they have lasted."""
    found: list[dict[str, Any]] = ask(prometheus, "alerts")["alerts"]
    return found


def ask(prometheus: str, what: str) -> dict[str, Any]:
    """
    Args:
        prometheus: HOST:PORT.
        what: after /api/v1/.
    """
    with urllib.request.urlopen(f"http://{prometheus}/api/v1/{what}", timeout=10) as answer:
        data: dict[str, Any] = json.loads(answer.read())["data"]
    return data
