"""What an idle server holds: memory is what decides how many fit on a machine."""

from pathlib import Path

from tests.support.programs import serving_beside, until
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client

WORKER_MB, SUPERVISOR_MB = 120, 80
"""The tiny model takes next to nothing, as MNIST's linear one does."""


def held_mb(pid: int) -> float:
    """Proportional set size in 2^20 bytes, or less: pages that other programs share count in part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def test_an_idle_server_holds_little(tmp_path: Path) -> None:
    """Supervisor and worker, when the version is served and its probe has ended."""
    publish_tiny(ModelsFolder(tmp_path))
    with serving_beside(tmp_path, "--transport", "h2corn") as (place, server):
        with Client(place["address"]) as client:
            until(client.ready)

        def workers() -> list[int]:
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            return [int(child) for child in children] if len(children) == 1 else []

        (worker,) = until(workers, lambda: "the probe has not ended")

        assert held_mb(worker) < WORKER_MB
        assert held_mb(server.pid) < SUPERVISOR_MB
