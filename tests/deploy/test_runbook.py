"""Rules, their tests and the runbook among each other: what one names, the others have."""

import re
from pathlib import Path

import pytest

from vouch.server.counting.counts import Counts
from vouch.server.supervisor.metrics import StateCollector
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.state import State, Surroundings

ROOT = Path(__file__).resolve().parents[2]
RULES = (ROOT / "deploy/prometheus/rules.yml").read_text()
TESTS = (ROOT / "deploy/prometheus/rules_test.yml").read_text()
RUNBOOK = (ROOT / "docs/how-to/runbook.md").read_text()
ALERTS = dict(re.findall(r"^ +- alert: (\w+)\n((?: {8}.*\n)+)", RULES, re.MULTILINE))
"""Name -> the rest of the rule."""
SILENT = re.findall(r"^ +- \{eval_time: \w+, alertname: (\w+), exp_alerts: \[\]\}$", TESTS, re.MULTILINE)
FIRING = re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels:", TESTS)
SECTIONS = dict(re.findall(r"^## (Vouch\w+)\n((?:(?!#).*\n)+)", RUNBOOK, re.MULTILINE))


def test_all_alerts_are_read() -> None:
    """Else what follows would hold of a part of them."""
    assert len(ALERTS) == RULES.count("alert:") > 15


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_test_that_fires_it_and_one_that_does_not(alert: str) -> None:
    assert alert in FIRING
    assert alert in SILENT


def test_every_alert_is_silent_where_nothing_is_wrong() -> None:
    """One that does well, vouch evaluate on a quiet one, and what the operator allowed share one list of alerts."""
    (shared,) = re.findall(r"alert_rule_test: &silent\n((?: {6}- .*\n)+)", TESTS)

    assert re.findall(r"alertname: (\w+), exp_alerts: \[\]", shared) == list(ALERTS)
    assert TESTS.count("alert_rule_test: *silent") == 2


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_its_paragraph_in_the_runbook(alert: str) -> None:
    """Which says what it means, where to look first, with a command or a query, and what to do."""
    meaning, look, remedy = re.split(r"\n\n(?=\*\*)", SECTIONS[alert].strip())

    assert f"runbook_url: docs/how-to/runbook.md#{alert.lower()}\n" in ALERTS[alert]
    assert meaning.startswith("**Meaning.** ")
    assert look.startswith("**First look.** ")
    assert "`" in look or "[" in look
    assert remedy.startswith("**Remedy.** ")


def test_the_runbook_has_no_other_alerts_and_sorts_them_by_severity() -> None:
    """Whoever is woken up finds pages first; paragraphs lead to each other."""
    pages, _, warnings = RUNBOOK.partition("\n# Warnings\n")

    assert set(re.findall(r"\]\(#(\w+)\)", RUNBOOK)) <= {alert.lower() for alert in SECTIONS}
    by_severity = {
        severity: {alert for alert, rule in ALERTS.items() if f"{{severity: {severity}}}" in rule}
        for severity in ("page", "warning")
    }
    assert by_severity["page"] | by_severity["warning"] == set(ALERTS) == set(SECTIONS)
    assert set(re.findall(r"^## (\w+)$", pages, re.MULTILINE)) == by_severity["page"]
    assert set(re.findall(r"^## (\w+)$", warnings, re.MULTILINE)) == by_severity["warning"]


def test_the_rules_ask_for_metrics_that_the_server_has() -> None:
    """Another name would be an alert that never fires."""
    nothing = State(0.0, Counts(), (), 0, 0, (), (), 0, 0, 0)
    families = {family.name for family in StateCollector(nothing, Surroundings(Found(), {}, 1), {}).collect()}

    asked = set(re.findall(r"\bvouch_\w+", "\n".join(re.findall(r"expr: .*(?:\n {10}.*)*", RULES))))
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in asked} <= families


def test_the_log_has_the_events_that_the_runbook_looks_for() -> None:
    """As some file of the server writes them."""
    greps = re.findall(r"server \| grep ([^`]+)`", RUNBOOK)
    asked = {word for words in greps for word in re.findall(r"\b\w+_\w+", words)}
    source = "\n".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))

    assert len(asked) > 5
    assert {event for event in asked if f'event("{event}"' not in re.sub(r"\(\s+", "(", source)} == set()
