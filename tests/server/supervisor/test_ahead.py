"""The process that verifies a first version is started while the supervisor still loads."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.programs import OURS, VOUCH, run_beside, serving_beside, until
from tests.support.tiny import publish_tiny
from tests.support.whole_server import children
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.server.errors import Undecided
from vouch.server.settings import RuntimeSettings
from vouch.server.supervisor.ahead import Ahead
from vouch.server.supervisor.verifier import Verifier


def probes(pid: int) -> set[int]:
    """The processes that a server has started to verify, and that are still there."""
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {one for one in found if b"vouch.server.probe.process" in read(f"/proc/{one}/cmdline")}


def read(path: str) -> bytes:
    """A file of a process; nothing where that is gone."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def marked(mark: str) -> list[Path]:
    """Processes with this in their environment."""
    return [path for path in Path("/proc").glob("[0-9]*/environ") if mark.encode() in read(str(path))]


async def test_the_first_version_is_verified_by_what_was_started_ahead(tmp_path: Path) -> None:
    """And the next one by a process of its own: none verifies twice."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    ahead, before = Ahead(), children()
    await ahead.start()
    (started,) = children() - before
    verifier = Verifier(RuntimeSettings(), 1, ahead=ahead)

    assert (await verifier.verify(bundle.path)).digest == bundle.digest
    assert started not in children()
    assert ahead.take() is None
    assert (await verifier.verify(bundle.path)).digest == bundle.digest


async def test_what_was_started_ahead_and_was_killed_decides_nothing(tmp_path: Path) -> None:
    """As one that is killed while it verifies: the version is tried again."""
    bundle = publish_tiny(ModelsFolder(tmp_path))
    ahead, before = Ahead(), children()
    await ahead.start()
    (started,) = children() - before
    os.kill(started, signal.SIGKILL)

    with pytest.raises(Undecided, match="was killed"):
        await Verifier(RuntimeSettings(), 1, ahead=ahead).verify(bundle.path)


async def test_what_could_not_be_started_ahead_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start is no slower without it than it was."""
    bundle, ahead = publish_tiny(ModelsFolder(tmp_path)), Ahead()
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", str(tmp_path / "missing"))
        await ahead.start()

    assert ahead.take() is None
    assert (await Verifier(RuntimeSettings(), 1, ahead=ahead).verify(bundle.path)).digest == bundle.digest


def test_a_server_without_models_keeps_no_process_for_them(tmp_path: Path) -> None:
    """It would hold its memory until somebody publishes one."""
    with serving_beside(tmp_path) as (_, server):
        until(lambda: not probes(server.pid))


def test_a_server_that_serves_keeps_no_process_that_verifies(tmp_path: Path) -> None:
    """The one that was started ahead has verified, and has ended."""
    publish_tiny(ModelsFolder(tmp_path))
    with serving_beside(tmp_path) as (place, server), Client(place["address"]) as client:
        until(client.ready)
        until(lambda: not probes(server.pid))


def test_a_wrong_setting_leaves_no_process(tmp_path: Path) -> None:
    """It is found when the process that verifies has been started already."""
    ours = OURS | {"MARKED": str(tmp_path)}
    with run_beside(*VOUCH, "serve", str(tmp_path), "--port", "many", env=ours) as server:
        until(lambda: server.has_ended)

        assert server.ended() == 2
        until(lambda: not marked(str(tmp_path)))


def test_ctrl_c_ends_a_server_that_still_loads(tmp_path: Path) -> None:
    """Without a traceback, and without a process that is left."""
    ours = OURS | {"MARKED": str(tmp_path)}
    command = (*VOUCH, "serve", str(tmp_path), "--port", "0", "--metrics-port", "0")
    with run_beside(*command, env=ours) as server:
        until(lambda: probes(server.pid) or "started" in server.err.text)
        server.tell(signal.SIGINT)
        until(lambda: server.has_ended)

        assert server.ended() in (0, 130)
        assert "Traceback" not in server.err.text
        until(lambda: not marked(str(tmp_path)))
