"""Restarts two servers one after the other under constant load: how many calls fail.

    make rolling-restart      grpcio and tritonclient, directly and through HAProxy, on both transports; some minutes

Each library calls with its defaults, and with gRPC's retries. Direct callers know the addresses of both servers and
call one of them. Each server gets SIGTERM, ends, and is started again before the other one is restarted. Prints a
table; returns 1 if a repeatable call over h2corn failed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.proxy import configuration, haproxy
from benchmarks.runs import machine
from benchmarks.serving.bundles import trained
from benchmarks.serving.contenders import free_port
from vouch.bundle.opening import Bundle

CALLER = Path(__file__).with_name("independent_caller.py")
CALLERS = (("grpcio",), ("tritonclient",), ("grpcio", "retry"), ("tritonclient", "retry"))
"""Words of `independent_caller.py`."""
DRAIN_DELAY_S = 2.0
"""As in docker-compose.yml: what waits for readiness has so long to notice."""
ENDS_WITHIN_S, READY_WITHIN_S = 60.0, 60.0
PAUSE_S = 2.0
"""Between a restart and the next."""


class Server:
    """`vouch serve`, restarted on the same port."""

    def __init__(self, models: Path, transport: str) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        words = ("--port", str(self.port), "--metrics-port", str(self.metrics_port), "--transport", transport)
        delay = ("--drain-delay-s", str(DRAIN_DELAY_S))
        self._command = [sys.executable, "-m", "vouch", "serve", str(models), *words, *delay]
        self._process = self._started()

    def restart(self) -> None:
        """Returns when it is ready again. Raises RuntimeError where it does not end or start in peace."""
        self._process.send_signal(signal.SIGTERM)
        if code := self._process.wait(ENDS_WITHIN_S):
            raise RuntimeError(f"the server ended with {code}")
        self._process = self._started()

    def end(self) -> None:
        """At once."""
        self._process.kill()
        self._process.wait(ENDS_WITHIN_S)

    def _started(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > ends:
                process.kill()
                raise RuntimeError("the server did not start")
            time.sleep(0.1)
        return process

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def calling(python: Path, caller: tuple[str, ...], address: str, images: Path) -> Iterator[dict[str, Any]]:
    """What a caller counted, when the block has ended."""
    library, *retry = caller
    command = [str(python), str(CALLER), library, address, str(images), *retry]
    environment = os.environ | {"PYTHONPATH": ""}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    counted: dict[str, Any] = {}
    try:
        yield counted
        told, _ = process.communicate(timeout=60)
        counted.update(json.loads(told))
    finally:
        process.kill()


def restarted(
    bundle: Bundle, transport: str, python: Path, proxied: bool, rounds: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each caller counted while both servers were restarted so many times."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        images = folder / "images.npy"
        np.save(images, bundle.read_validation().images[:1])
        servers = []
        for _ in range(2):
            servers.append(Server(bundle.path.parent.parent, transport))
            stack.callback(servers[-1].end)
        addresses = [f"127.0.0.1:{server.port}" for server in servers]
        targets = [f"ipv4:{','.join(addresses)}", f"ipv4:{','.join(reversed(addresses))}"] * 2
        if proxied:
            port = free_port()
            text = configuration("haproxy.cfg", port, [(server.port, server.metrics_port) for server in servers])
            stack.enter_context(haproxy(text, folder))
            time.sleep(1.0)  # it looks for who is ready
            targets = [f"127.0.0.1:{port}"] * len(CALLERS)
        with ExitStack() as callers:
            counted = [
                (", ".join(caller), callers.enter_context(calling(python, caller, target, images)))
                for caller, target in zip(CALLERS, targets, strict=True)
            ]
            time.sleep(PAUSE_S)
            for server in servers * rounds:
                server.restart()
                time.sleep(PAUSE_S)
        yield from counted


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other-python", type=Path, required=True, help="a Python with tritonclient")
    parser.add_argument("--rounds", type=int, default=2, help="restarts of both servers")
    arguments = parser.parse_args()
    lost = 0
    print("| server | way | caller | calls | failed | longest, s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bundle = trained("linear", "digits", Path(folder))
        for transport in ("h2corn", "grpcio"):
            for proxied in (False, True):
                way = "HAProxy" if proxied else "straight"
                for caller, counted in restarted(bundle, transport, arguments.other_python, proxied, arguments.rounds):
                    calls = sum(counted["ended"].values())
                    failed = {how: count for how, count in counted["ended"].items() if how != "OK"}
                    why = "".join(f"; {count} {how}" for how, count in failed.items())
                    cells = (transport, way, caller, f"{calls:,}", f"{sum(failed.values())}{why}")
                    print(f"| {' | '.join(cells)} | {counted['longest_s']:.1f} |", flush=True)
                    lost += sum(failed.values()) if transport == "h2corn" and "retry" in caller else 0
    print(f"\n{2 * arguments.rounds} restarts in each row; {machine()}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
