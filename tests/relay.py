"""Tests over Envoy: an application within it that hands every call on to the process that runs the tests.

The transport, the services and what they serve are then ordinary objects of the test, while HTTP/2 is Envoy's. Both
ends speak pickled (number, what, value) over a Unix socket, a connection a call.
"""

import asyncio
import itertools
import os
import pickle
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vouch.server.gate import Gate
from vouch.server.port import ReservedPort
from vouch.server.services.table import Method
from vouch.server.transport.asgi import Event, GrpcApp, Receive, Scope, Send
from vouch.server.transport.envoy import envoy_launch

VARIABLE = "VOUCH_TEST_RELAY"
ROOT = Path(__file__).resolve().parent.parent


_CALLS: set[asyncio.Task[None]] = set()
"""At work. Nobody else holds them: a stream's reader is held by whoever waits for it, and that is the call itself."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The end within Envoy."""
    task = asyncio.current_task()
    assert task is not None
    _CALLS.add(task)
    try:
        await _relay(scope, receive, send)
    finally:
        _CALLS.discard(task)


async def _relay(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    reader, writer = await asyncio.open_unix_connection(os.environ[VARIABLE], limit=1 << 28)
    kept = {key: value for key, value in scope.items() if key not in ("extensions", "state")}
    _write(writer, kept)
    tasks = set()

    async def do(number: int, event: Event | None) -> None:
        try:
            answer: Any = await (receive() if event is None else send(event))
        except OSError:
            answer = "gone"
        _write(writer, (number, answer))

    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            task = asyncio.create_task(do(*await _read(reader)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    writer.close()


class Relayed:
    """The end in the tests' process: a listening server, as a transport's own."""

    def __init__(self, server: asyncio.Server, port: int, calls: set[asyncio.Task[None]]) -> None:
        self._server = server
        self._calls = calls
        self.port = port

    async def stop(self) -> None:
        self._server.close()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


class Envoy:
    """An Envoy that serves whichever tables the test at hand has."""

    def __init__(self, port: int, path: Path) -> None:
        self.port = port
        self._path = path

    async def start(
        self, methods: Iterable[Method], gate: Gate, host: str, port: int, max_message_bytes: int
    ) -> Relayed:
        """As `start_grpcio`, but for the port, which is Envoy's."""
        calls = GrpcApp(methods, gate, max_message_bytes)
        with suppress(FileNotFoundError):
            self._path.unlink()

        at_work: set[asyncio.Task[None]] = set()

        async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            at_work.add(task)
            reading: set[asyncio.Task[None]] = set()
            try:
                # Cancelled by stop: a connection's task that ends by it is told of as a bug of the event loop's user.
                with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                    scope = await _read(reader)
                    await calls(scope, *_directions(reader, writer, reading))
            finally:
                at_work.discard(task)
                writer.close()
                for one in reading:
                    one.cancel()
                await asyncio.gather(writer.wait_closed(), *reading, return_exceptions=True)

        server = await asyncio.start_unix_server(call, self._path, limit=1 << 28)
        return Relayed(server, self.port, at_work)


def _directions(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reading: set[asyncio.Task[None]]
) -> tuple[Receive, Send]:
    """ASGI's receive and send, over the socket; the task that reads it is put into `reading`."""
    numbers, waiting = itertools.count(), dict[int, asyncio.Future[Any]]()

    async def read() -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                number, answer = await _read(reader)
                if (future := waiting.pop(number)) and not future.done():
                    future.set_result(answer)

    def ask(event: Event | None) -> asyncio.Future[Any]:
        number = next(numbers)
        future = waiting[number] = asyncio.get_running_loop().create_future()
        _write(writer, (number, event))
        if not reading:
            reading.add(asyncio.create_task(read()))
        return future

    async def receive() -> Event:
        event: Event = await ask(None)
        return event

    async def send(event: Event) -> None:
        if await ask(event) == "gone":
            raise OSError("the caller has left")

    return receive, send


@contextmanager
def envoy(folder: Path) -> Iterator[Envoy]:
    """A running Envoy with `app` in it."""
    path = folder / "relay"
    with ReservedPort("127.0.0.1", 0) as reserved:
        command, extra = envoy_launch("127.0.0.1", reserved.port, 1 << 26, "tests.relay:app")
        paths = os.pathsep.join([str(ROOT), extra["PYTHONPATH"]])
        environment = {**os.environ, **extra, "PYTHONPATH": paths, VARIABLE: str(path)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            _wait(process, reserved.port)
            yield Envoy(reserved.port, path)
        finally:
            process.kill()  # nothing of it is kept
            process.wait(60)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    ends = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("Envoy did not start")


async def _read(reader: asyncio.StreamReader) -> Any:
    return pickle.loads(await reader.readexactly(int.from_bytes(await reader.readexactly(8), "big")))


def _write(writer: asyncio.StreamWriter, value: object) -> None:
    content = pickle.dumps(value)
    writer.write(len(content).to_bytes(8, "big") + content)


Start = Callable[[Iterable[Method], Gate, str, int, int], Awaitable[Any]]
"""How a transport is started: `start_grpcio`, or an Envoy's `start`."""
