"""The servers that are compared: how each is started, and ended with all its processes."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.peers.peer import Peer
from benchmarks.serving.asking import Unanswered, asking
from benchmarks.serving.forms import Form, raw
from benchmarks.serving.processes import Usage, family, process_memory_mb, usage

START_TIMEOUT_S = 120.0
STARTS = 3
"""Of a server that ends under load, as Triton does now and then, after which it has no result."""
METRICS_PORT = "VOUCH_SERVE_METRICS_PORT"


@dataclass(frozen=True)
class Contender:
    """A way of serving the same model."""

    name: str
    command: Callable[[Path, int, Path], list[str]]
    """(a bundle's folder, port, an empty folder that is its own while it runs) -> what starts it. The model is served
    under the name that the bundle has."""
    environment: dict[str, str] = field(default_factory=dict)
    form: Form | None = None
    """In which it is asked over HTTP/1.1; None where it speaks Open Inference over gRPC."""
    echoes: bool = False
    """It answers with the request: a limit, not a server."""
    settings: str = ""
    """A sentence, of a peer: what makes it fast."""


def default_vouch() -> Contender:
    """`vouch serve MODELS`, with nothing set but where it listens."""

    def command(bundle: Path, port: int, _: Path) -> list[str]:
        return [sys.executable, "-m", "vouch", "serve", str(bundle.parent.parent), "--port", str(port)]

    return Contender("Vouch", command, {METRICS_PORT: "0"})


def vouch(transport: str, workers: int) -> Contender:
    """Vouch over a transport, with so many workers."""
    default = default_vouch()

    def command(bundle: Path, port: int, folder: Path) -> list[str]:
        return [*default.command(bundle, port, folder), "--transport", transport, "--workers", str(workers)]

    name = f"Vouch, {transport}, {workers} worker{'s' * (workers > 1)}"
    return replace(default, name=name, command=command)


def echo() -> Contender:
    """Grpcio's asyncio server with nothing behind it."""

    def command(_: Path, port: int, __: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.serving.echo", str(port)]

    return Contender("grpcio echo", command, echoes=True)


def peer(one: Peer, name: str = "", cores: int | None = None) -> Contender:
    """One of benchmarks/peers, which is installed.

    Args:
        name: in tables, in place of its own.
        cores: that it may use; all that this process may where none are named.
    """

    def command(bundle: Path, port: int, folder: Path) -> list[str]:
        return one.command(bundle / "model.onnx", port, folder, cores or len(os.sched_getaffinity(0)))

    return Contender(name or one.title, command, form=raw(one.path) if one.path else None, settings=one.settings)


class NotStarted(RuntimeError):
    """A server did not come so far as to answer, or ended by itself."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    address: str
    first_answer_s: float
    """From its start to its first right answer."""
    pid: int
    exit_code: Callable[[], int | None]
    """Of its first process; None: it runs. Negative: the number of the signal that ended it."""

    def usage(self) -> Usage:
        """Of it and all its descendants now."""
        return usage(self.pid)

    def memory_mb(self, kind: str) -> list[float]:
        """Of it and of each of its descendants, in 2^20 bytes: `Pss:` is proportional, `Rss:` resident memory."""
        return [process_memory_mb(pid, kind) for pid in family(self.pid)]


@contextmanager
def running(contender: Contender, bundle: Path, message: bytes, cpu: int | None = None) -> Iterator[Running]:
    """Starts a server on a free port, waits for its first answer to this message, and ends it with all its processes.

    Args:
        message: of Open Inference, or the body of a contender over HTTP/1.1.
        cpu: the number of the one core that it may use.

    Raises:
        NotStarted: it ended, or did not answer in time.
    """
    port = free_port()
    address, began = f"127.0.0.1:{port}", time.monotonic()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        own = Path(folder) / "own"
        own.mkdir()
        words = [*on_cpu(cpu), *contender.command(bundle, port, own)]
        process = subprocess.Popen(
            words, stdout=log, stderr=log, env={**os.environ, **contender.environment}, start_new_session=True
        )
        try:
            _wait_for_answer(process, contender, address, message)
            yield Running(address, time.monotonic() - began, process.pid, process.poll)
        except (RuntimeError, Unanswered) as err:
            if isinstance(err, NotStarted):
                raise NotStarted(f"{err}; it said: {_last_words(Path(log.name))}") from err
            if (code := process.poll()) is None:
                raise
            raise NotStarted(f"{contender.name} ended with {code}; it said: {_last_words(Path(log.name))}") from err
        finally:
            _end(process)


def _last_words(log: Path) -> str:
    """Of a server; Triton prints tables and empty lines, too."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    return " / ".join([line for line in lines if line and line[0] not in "|+" and line[-1] != "]"][-3:])


def on_cpu(cpu: int | None) -> list[str]:
    """The words in front of a command that holds it to one core."""
    return [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]


def free_port() -> int:
    """On 127.0.0.1, and none that Linux gives to callers, who might take it while a server is restarted."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def _wait_for_answer(process: subprocess.Popen[bytes], contender: Contender, address: str, message: bytes) -> None:
    """Asks as little as may be: the server is starting on the same cores."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"{contender.name} ended with {process.returncode} before it answered")
        if _is_answered(contender, address, message):
            return
        time.sleep(0.02)
    raise NotStarted(f"{contender.name} did not answer within {START_TIMEOUT_S:g} s")


def _is_answered(contender: Contender, address: str, message: bytes) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with asking(address, contender.form) as ask:
            ask(message, 5)
    except (OSError, Unanswered):
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
