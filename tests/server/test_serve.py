"""`vouch serve` as a process: how it ends, and the surroundings that it must bear."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.server.test_supervisor import transport
from tests.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.server.settings import Transport

__all__ = ["transport"]  # a fixture


@contextmanager
def serving(
    models: Path, *words: str, redirection: str = "", environment: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Its address and its process, started by a shell with this redirection of its standard streams."""
    command = [
        sys.executable,
        "-m",
        "vouch",
        "serve",
        str(models),
        "--port",
        "0",
        "--metrics-port",
        "0",
        "--json",
        *words,
    ]
    server = subprocess.Popen(
        f"exec {shlex.join(command)} {redirection}",
        shell=True,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["address"], server
    finally:
        server.kill()
        server.communicate()


def until_ready(address: str) -> None:
    with Client(address) as client:
        for _ in range(600):
            if client.ready():
                return
            time.sleep(0.05)  # another process has to get there
    raise AssertionError("it never was ready")


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_second_signal_ends_all_at_once(tmp_path: Path, transport: Transport) -> None:
    """The workers too, though a call is being answered; nothing is left in the folder for temporary files."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    words = ("--transport", transport, "--drain-delay-s", "60")
    with serving(tmp_path / "models", *words, environment=environment) as (address, server):
        until_ready(address)
        workers = workers_of(server.pid)
        server.send_signal(signal.SIGTERM)
        assert server.stderr is not None
        while "draining" not in server.stderr.readline():
            pass
        server.send_signal(signal.SIGTERM)

        assert server.wait(10) == 1
        assert json.loads(server.stderr.readline())["event"] == "ended_at_once"
        assert workers
        for _ in range(100):
            if not any(Path(f"/proc/{pid}").exists() for pid in workers):
                break
            time.sleep(0.05)  # the kernel has to get there
        else:
            raise AssertionError("a worker is left")
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_closed_standard_error_is_borne(tmp_path: Path, transport: Transport) -> None:
    """As some supervisors of services start theirs: it serves, and says nothing."""
    publish_tiny(ModelsFolder(tmp_path))
    with serving(tmp_path, "--transport", transport, redirection="2>&-") as (address, server):
        until_ready(address)
        server.send_signal(signal.SIGTERM)

        assert server.wait(20) == 0


def test_names_that_the_locale_cannot_write_are_borne(tmp_path: Path, transport: Transport) -> None:
    """A models folder has any name, and services often run in the C locale."""
    models = tmp_path / "größte"
    publish_tiny(ModelsFolder(models))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    environment |= {"LC_ALL": "C", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with serving(models, "--transport", transport, environment=environment) as (address, _):
        until_ready(address)
