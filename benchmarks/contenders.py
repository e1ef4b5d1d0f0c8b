"""The servers that are measured beside each other: how each is started, and what it takes of the machine."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

INFER = "/inference.GRPCInferenceService/ModelInfer"
QUEUE_IMAGES = 1 << 18
"""That may wait: more than the whole load at the largest batch size; none is turned away."""
START_TIMEOUT_S = 120.0
METRICS_PORT = "VOUCH_SERVE_METRICS_PORT"


@dataclass(frozen=True)
class Contender:
    """A way of serving the same model."""

    name: str
    command: Callable[[Path, int], list[str]]
    """(a bundle's folder, port) -> what starts it. The model is served under the name that the bundle has."""
    environment: dict[str, str] = field(default_factory=dict)
    echoes: bool = False
    """It answers with the request: a limit, not a server."""


def vouch(transport: str, workers: int) -> Contender:
    """Vouch, with so many workers; several are pinned, as nothing but the load runs beside them."""

    def command(bundle: Path, port: int) -> list[str]:
        words = ["serve", str(bundle.parent.parent), "--port", str(port), "--max-queue-images", str(QUEUE_IMAGES)]
        words += ["--pin-workers"] if workers > 1 else []
        return [sys.executable, "-m", "vouch", *words, "--transport", transport, "--workers", str(workers)]

    # a free port, told in the environment, so that a checkout from before there were metrics can be started as well
    return Contender(f"vouch, {transport}, {workers} worker{'s' * (workers > 1)}", command, {METRICS_PORT: "0"})


def echo(with_model: bool = False) -> Contender:
    """Grpcio's asyncio server with nothing behind it, or nothing but a run of the model."""

    def command(bundle: Path, port: int) -> list[str]:
        model = [str(bundle / "model.onnx")] if with_model else []
        return [sys.executable, "-m", "benchmarks.echo", str(port), *model]

    return Contender("grpcio echo that runs the model" if with_model else "grpcio echo", command, echoes=True)


def peer(script: Path, which: str, name: str, environment: dict[str, str]) -> Contender:
    """One of the servers that a script installs and starts: `SCRIPT triton|mlserver MODEL.onnx PORT`."""
    return Contender(
        name, lambda bundle, port: [str(script), which, str(bundle / "model.onnx"), str(port)], environment
    )


@dataclass(frozen=True)
class Usage:
    """What a server and its processes have taken."""

    cpu_s: float
    """Of those too that have ended and were waited for."""
    memory_mb: float
    """Proportional set size, in 2^20 bytes: shared pages are divided among those that share them."""
    largest_mb: float
    """Resident memory of the largest process."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    address: str
    first_answer_s: float
    """From its start to its first right answer."""
    pid: int

    def usage(self) -> Usage:
        """Of it and all its descendants now."""
        pids = family(self.pid)
        cpu_s, memory_mb = sum(map(_cpu_s, pids)), sum(process_memory_mb(pid, "Pss:") for pid in pids)
        return Usage(cpu_s, memory_mb, max(process_memory_mb(pid, "Rss:") for pid in pids))

    def memory_mb(self, kind: str) -> list[float]:
        """Of it and of each of its descendants, in 2^20 bytes: `Pss:` is proportional, `Rss:` resident memory."""
        return [process_memory_mb(pid, kind) for pid in family(self.pid)]


@contextmanager
def running(contender: Contender, bundle: Path, message: bytes) -> Iterator[Running]:
    """Starts a server on a free port, waits for its first answer to this message, and ends it with all its processes.

    Raises:
        RuntimeError: it ended, or did not answer in time.
    """
    port = free_port()
    address, began = f"127.0.0.1:{port}", time.monotonic()
    log = subprocess.DEVNULL
    environment = {**os.environ, "ORT_THREADS": "1", **contender.environment}
    process = subprocess.Popen(
        contender.command(bundle, port), stdout=log, stderr=log, env=environment, start_new_session=True
    )
    try:
        _wait_for_answer(process, contender.name, address, message)
        yield Running(address, time.monotonic() - began, process.pid)
    finally:
        _end(process)


def free_port() -> int:
    """On 127.0.0.1, and none that Linux gives to callers, who might take it while a server is restarted."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def _wait_for_answer(process: subprocess.Popen[bytes], name: str, address: str, message: bytes) -> None:
    """Asks as little as may be: the server is starting on the same cores."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode} before it answered")
        if _is_answered(address, message):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{name} did not answer within {START_TIMEOUT_S:g} s")


def _is_answered(address: str, message: bytes) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
            call: Any = channel.unary_unary(INFER)
            call(message, timeout=5)
    except (OSError, grpc.RpcError):
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    process.wait(60)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields behind the name in /proc/PID/stat, state first; empty where the process has ended."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    stat = _stat(pid)
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


def process_memory_mb(pid: int, kind: str) -> float:
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(kind)), 0.0)
