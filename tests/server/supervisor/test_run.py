"""`vouch serve` ends when it should: at every stage of its start, as the first process of a container, with probes."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.graphs import endless
from tests.support.programs import VOUCH, Program, run_beside, until
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder

ENDS_WITHIN_S = 10.0


def may_unshare() -> bool:
    """Whether this user may start a process that is the first of its own, as a container's is."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--pid", "--fork", "true"]
    return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0


def command(models: Path, *words: str) -> tuple[str, ...]:
    return (*VOUCH, "serve", str(models), "--port", "0", "--metrics-port", "0", *words)


def descendants(pid: int) -> set[int]:
    """Processes that it has started, and those that they have."""
    try:
        children = {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()
    return children.union(*map(descendants, children))


def catches_sigterm(pid: int) -> bool:
    """Whether it has a handler of its own for SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


def until_ended(server: Program, told_s: float) -> int:
    until(lambda: server.has_ended)
    assert time.monotonic() - told_s < ENDS_WITHIN_S
    return server.ended()


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3])
def test_sigterm_ends_a_server_at_every_stage_of_its_start(tmp_path: Path, after_s: float) -> None:
    """Soon, without a traceback, and without a process that is left."""
    publish_tiny(ModelsFolder(tmp_path))
    with run_beside(*command(tmp_path)) as server:
        time.sleep(after_s)  # whatever it is at by then
        started = descendants(server.pid)
        server.tell(signal.SIGTERM)
        code = until_ended(server, time.monotonic())

        assert code in (0, -signal.SIGTERM), server.err.text
        assert "Traceback" not in server.err.text
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), lambda: "a process is left")


@pytest.mark.skipif(not may_unshare(), reason="this user may start no process that is the first of its own")
@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.7, 1.7])
def test_sigterm_ends_a_server_that_is_the_first_process(tmp_path: Path, after_s: float) -> None:
    """As in a container without an init: the system keeps from such a process what it has no handler for, so the time
    is counted from when it has one. A server has it before it loads anything.
    """
    publish_tiny(ModelsFolder(tmp_path))
    with run_beside("unshare", "--pid", "--fork", "--kill-child", *command(tmp_path)) as outside:
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        (first,) = map(int, until(lambda: children.read_text().split()))
        until(lambda: catches_sigterm(first))
        time.sleep(after_s)  # whatever it is at by then
        os.kill(first, signal.SIGTERM)

        assert until_ended(outside, time.monotonic()) in (0, 128 + signal.SIGTERM), outside.err.text
        assert "Traceback" not in outside.err.text


def test_a_probe_ends_with_the_supervisor_however_that_ends(tmp_path: Path) -> None:
    """One that is killed cannot end it; a version that comes to no end would be run for ever."""
    publish_tiny(ModelsFolder(tmp_path), graph=endless())
    with run_beside(*command(tmp_path)) as server:

        def probes() -> set[int]:
            found = descendants(server.pid)
            return {pid for pid in found if b"vouch.server.probe.process" in Path(f"/proc/{pid}/cmdline").read_bytes()}

        started = until(probes)
        until(lambda: "listening on" in server.err.text or "started" in server.err.text)
        server.tell(signal.SIGKILL)

        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), lambda: "a probe is left")
