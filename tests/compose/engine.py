"""The Docker engine and compose, as commands, with a project and ports of their own for the proof."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "vouch-proof"
PORT, PROXY_PORT, PROMETHEUS_PORT = 18_081, 18_090, 19_090
THREE_SERVERS = {"VOUCH_SERVERS": "3", "VOUCH_PORT": "18100-18119", "COMPOSE_PROFILES": "scale"}
"""What stands in .env for them."""
SETTINGS = {
    "VOUCH_VERSION": "proof",
    "VOUCH_TRAIN_MODEL": "linear",
    "VOUCH_HEALTH_INTERVAL": "2s",
    "VOUCH_PORT": str(PORT),
    "VOUCH_PROXY_PORT": str(PROXY_PORT),
    "VOUCH_PROMETHEUS_PORT": str(PROMETHEUS_PORT),
    "VOUCH_SERVER_CPUS": "1.5",
}
SERVER = f"127.0.0.1:{PORT}"
PROXY = f"127.0.0.1:{PROXY_PORT}"
PROMETHEUS = f"127.0.0.1:{PROMETHEUS_PORT}"
SERVER_IMAGE, TRAINER_IMAGE = "vouch-server:proof-cpu", "vouch-trainer:proof"

COMMAND_WITHIN_S = 1800.0
"""The longest is the building of the images."""


def why_not() -> str:
    """Why nothing can be tried here; empty where an engine answers."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    if subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode:
        return "no Docker engine answers"
    return "" if compose_command() else "there is neither docker compose nor docker-compose"


def compose_command() -> list[str]:
    """`docker compose`, or the older `docker-compose`."""
    if not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=60).returncode:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def compose(*words: str, **settings: str) -> str:
    """What a compose command prints on standard output. Raises AssertionError with its last lines where it fails."""
    return _run([*compose_command(), "--project-name", PROJECT, *words], os.environ | SETTINGS | settings)


def docker(*words: str) -> str:
    """The same of a docker command."""
    return _run(["docker", *words], dict(os.environ))


def containers(service: str) -> list[str]:
    """Ids of the service's containers that run."""
    return compose("ps", "--quiet", service).split()


def inspect(container: str) -> dict[str, Any]:
    """All that the engine knows of a container or an image."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


def is_healthy(container: str) -> bool:
    """Whether the container runs and its health check has passed."""
    state = inspect(container)["State"]
    return bool(state["Running"]) and state["Health"]["Status"] == "healthy"


def until(holds: Callable[[], bool], within_s: float) -> float:
    """Waits; returns the seconds that it took. Raises TimeoutError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within_s:
            raise TimeoutError(f"it did not come within {within_s:g} s")
        time.sleep(0.2)
    return time.monotonic() - began


def compose_fails(*words: str, **settings: str) -> str:
    """What a compose command prints that has to fail. Raises AssertionError where it does not."""
    command = [*compose_command(), "--project-name", PROJECT, *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | SETTINGS | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode, f"{' '.join(command)} did not fail"
    return done.stdout + done.stderr


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_WITHIN_S
    )
    assert not done.returncode, f"{' '.join(command)}: {done.stderr.strip()[-2000:]}"
    return done.stdout
