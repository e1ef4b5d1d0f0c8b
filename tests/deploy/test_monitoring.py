"""Rules and dashboard in a real Prometheus, which scrapes a real server."""

import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest

from tests.compose.monitoring import alerts, ask, expressions, query, without_series
from tests.support.programs import WITHIN_S, run_beside, serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.client import Client

FILES = Path(__file__).resolve().parents[2] / "deploy/prometheus"
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="there is no prometheus here: make prometheus installs Debian's",
)


@needs_prometheus
def test_each_alert_fires_when_it_should_and_is_quiet_when_it_should_be() -> None:
    """Promtool's own tests, and its checks of rules and configuration."""
    for words in (("test", "rules", "rules_test.yml"), ("check", "config", "prometheus.yml")):
        done = subprocess.run(
            ["promtool", *words], cwd=FILES, capture_output=True, text=True, check=False, timeout=WITHIN_S
        )
        assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with closing(socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@needs_prometheus
def test_every_expression_of_the_dashboard_returns_a_series(tmp_path: Path) -> None:
    """From a server that was called; alerts name the version that is refused there, and the folder that vanishes."""
    folder = ModelsFolder(tmp_path / "models")
    publish_tiny(folder)
    with serving_beside(folder.path, "--scan-interval-s", "0.1") as (place, _):
        prometheus = f"127.0.0.1:{free_port()}"
        configuration = tmp_path / "prometheus.yml"
        configuration.write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{FILES}/rules.yml]\n"
            f"scrape_configs: [{{job_name: vouch, static_configs: [{{targets: ['{place['metrics']}']}}]}}]\n"
        )
        words = (f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'data'}")
        with run_beside("prometheus", *words, f"--web.listen-address={prometheus}"), Client(place["address"]) as client:
            until(client.ready)
            until(lambda: bool(targets(prometheus)))
            images = tiny_images(3)[0]

            def all_return() -> bool:
                client.predict(images)
                return not without_series(prometheus)

            until(all_return, lambda: "\n".join(without_series(prometheus)))
            (served,) = query(prometheus, "vouch_accuracy_served")
            assert float(served["value"][1]) == 0.9

            (folder.path / "tiny" / "2").mkdir()
            until(lambda: ("VouchVersionRefused", "tiny", "2") in named(prometheus))
            (folder.path / "tiny" / "1").rename(tmp_path / "aside")
            until(lambda: ("VouchServedFolderGone", "tiny", "1") in named(prometheus))
            (tmp_path / "aside").rename(folder.path / "tiny" / "1")
            (folder.path / "tiny" / "2").rmdir()
            until(lambda: not named(prometheus))
    assert len(expressions()) > 20


def named(prometheus: str) -> set[tuple[str, str, str]]:
    """Alert, model and version of alerts that are about one; they fire when they have lasted."""
    labels = [alert["labels"] for alert in alerts(prometheus)]
    return {(one["alertname"], one["model"], one["version"]) for one in labels if "version" in one}


def targets(prometheus: str) -> list[object]:
    """That are up; none as long as Prometheus does not answer."""
    try:
        return [one for one in ask(prometheus, "targets")["activeTargets"] if one["health"] == "up"]
    except OSError:
        return []
