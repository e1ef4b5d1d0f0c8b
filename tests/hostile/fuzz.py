"""`make fuzz`: mutated messages and connections; nothing is INTERNAL, nothing ends, and memory stays flat.

    python -m tests.hostile.fuzz --messages 1000000 --connections 100000 --seed 1

What fails is said with the command that repeats it alone. A tenth of the messages goes over the wire.
"""

import argparse
import asyncio
import socket
import struct
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, get_args

import grpc

from tests.hostile.mutations import connection, message
from tests.hostile.served import Bystander, Server, served
from tests.support.lineups import Published
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.server.counting.statistics import Statistics
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.rpc.call import Calls
from vouch.server.rpc.method import Method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.decoder import Decoder
from vouch.server.services.health import Health
from vouch.server.services.oip.service import Inference
from vouch.server.services.predictor import Predictor
from vouch.server.services.reflection import Reflection
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served
from vouch.server.settings import Transport
from vouch.server.transport.asgi import App
from vouch.server.transport.intake import Intake
from vouch.server.worker.heap import resident_bytes

ENDLESS = "/grpc.health.v1.Health/Watch"
"""It is answered for as long as its caller listens."""
UNKNOWN, INTERNAL = 2, 13
OURS_FAILED = (b"the server failed", b"the model failed", b"Traceback", b" object at 0x")
"""What a caller reads when the fault is ours, or when more is told than should be."""
ANSWER_S = 20.0
AT_ONCE = 32
BEARS_CONNECTIONS = {"h2corn"}
"""One call whose path is no UTF-8 ends grpcio's loop, and with it the worker: docs/explanation/strangers.md."""
FLAT_BYTES = 64 << 20
WARM = 2000
"""Messages after which memory is looked at."""
TELL_EVERY = 10_000


class Failed(Exception):
    """A mutation found something."""


def random_of(seed: int, kind: str, number: int) -> Random:
    return Random(f"{seed} {kind} {number}")


def check(told: bytes, code: int, repeat: str) -> None:
    """Raises Failed."""
    found = [word for word in OURS_FAILED if word in told]
    if found or code in (UNKNOWN, INTERNAL):
        raise Failed(f"code {code}, {told[-300:]!r}; again by: python -m tests.hostile.fuzz {repeat}")


@asynccontextmanager
async def house(path: Path) -> AsyncIterator[list[Method]]:
    """All services, in this process, with the tiny model."""
    readiness, gate = Readiness(), Gate()
    catalog = Catalog(on_change=lambda: readiness.set(catalog.ready))
    bundle = publish_tiny(ModelsFolder(path))
    session, statistics = open_session(bundle.read_model(), "cpu", 1), Statistics()
    batcher = start_batcher(session.run, Limits(64, 2000), on_batch=statistics.add)
    Published(catalog).serve(Served(bundle, bundle.manifest.claim.accuracy, batcher, statistics))
    predictor = Predictor(catalog, Decoder(1, 100).decode, 500, 1_000_000)
    services = [
        *Classifier(catalog, gate, predictor).methods(),
        *Inference(catalog, gate, readiness, predictor).methods(),
    ]
    names = sorted({method.path.split("/")[1] for method in services})
    yield [*services, *Health(readiness, names).methods(), *Reflection(names).methods()]
    await catalog.close()


async def ask(app: App, path: str, content: bytes) -> tuple[int, bytes]:
    """gRPC's code, and all that was told."""
    events = [{"type": "http.request", "body": b"\0" + len(content).to_bytes(4, "big") + content, "more_body": False}]
    told: list[bytes] = []
    status = {b"grpc-status": b"-1"}

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop()
        await asyncio.sleep(ANSWER_S)
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        told.append(event.get("body", b""))
        status.update(event.get("headers", ()))
        told.extend(value for _, value in event.get("headers", ()))

    headers = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": ("::1", 5)}
    await app({**scope, "extensions": {"http.response.trailers": {}}}, receive, send)
    return int(status[b"grpc-status"]), b"".join(told)


async def in_process(seed: int, numbers: Iterable[int], path: Path) -> Counter[int]:
    """Messages to the real services, without a wire; counts the codes. Raises Failed."""
    codes: Counter[int] = Counter()
    before = 0
    async with house(path) as methods:
        app = App(Calls(methods, Gate(), 1 << 20), Intake(1 << 20))
        paths = [method.path for method in methods if method.path != ENDLESS]
        for number in numbers:
            random = random_of(seed, "message", number)
            where, content = random.choice(paths), message(random)
            async with asyncio.timeout(ANSWER_S):
                code, told = await ask(app, where, content)
            check(told, code, f"--seed {seed} --message {number}")
            codes[code] += 1
            if codes.total() == WARM:
                before = resident_bytes()
            if number % TELL_EVERY == 0:
                print(f"message {number:,}: {resident_bytes() >> 20} MiB, {dict(codes)}", flush=True)
    if before and resident_bytes() - before > FLAT_BYTES:
        raise Failed(f"seed {seed}: this process has grown by {resident_bytes() - before:,} bytes")
    return codes


async def over_the_wire(seed: int, numbers: Iterable[int], server: Server, paths: list[str]) -> Counter[int]:
    """The same to a server that listens. Raises Failed."""
    codes: Counter[int] = Counter()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        random = random_of(seed, "message", number)
        method: Any = channel.unary_stream(random.choice(paths))
        call = method(message(random), timeout=ANSWER_S)
        told = b""
        try:
            async for answer in call:
                told += answer
        except grpc.aio.AioRpcError as err:
            told += (err.details() or "").encode()
        code = (await call.code()).value[0]
        check(told, code, f"--seed {seed} --message {number}")
        codes[code] += 1
        room.release()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel, asyncio.TaskGroup() as calls:
        for number in numbers:
            async with asyncio.timeout(2 * ANSWER_S):
                await room.acquire()
            calls.create_task(one(number))
    return codes


def connections(seed: int, numbers: Iterable[int], server: Server) -> int:
    """Mutated connections to a server that listens, some open at once; how many there were. Raises Failed."""
    bystander, workers, count = Bystander(server), server.workers, 0
    opened = deque[socket.socket]()
    try:
        for count, number in enumerate(numbers, 1):
            opened.append(sent(server, connection(random_of(seed, "connection", number))))
            if len(opened) > AT_ONCE:
                opened.popleft().close()
            if count % 200 == 0:
                bystander.call()
                if server.workers != workers:
                    raise Failed(f"a worker ended at connection {number} or up to 200 before it, seed {seed}")
            if number % TELL_EVERY == 0:
                print(f"connection {number:,}: {server.resident_bytes >> 20} MiB", flush=True)
        bystander.call()
    except OSError as err:
        raise Failed(f"{err!r} at connection {count} or shortly before it, seed {seed}") from err
    finally:
        bystander.close()
        for one in opened:
            one.close()
    return count


def sent(server: Server, content: bytes) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_S)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no port is kept waiting
    with suppress(OSError):
        one.sendall(content)
    return one


def check_server(server: Server, workers: list[int], before_bytes: int, seed: int) -> None:
    """Raises Failed."""
    log = server.log.read_text()
    found = [line for line in log.splitlines() if "call_failed" in line or "Traceback" in line or "panicked" in line]
    if found:
        raise Failed(f"seed {seed}: {found[0][:1000]}")
    if server.workers != workers:
        raise Failed(f"seed {seed}: a worker was replaced")
    grown = server.resident_bytes - before_bytes
    if grown > FLAT_BYTES:
        raise Failed(f"seed {seed}: {server.transport} has grown by {grown:,} bytes")


def on_a_server(seed: int, numbers: range, connecting: range, folder: Path, transport: str) -> None:
    """A share of the messages, and the connections. Raises Failed."""
    with served(folder / "models", transport) as server:
        workers, began = server.workers, time.monotonic()
        paths = asyncio.run(all_paths(folder / "other"))
        warm = min(len(numbers), WARM)
        asyncio.run(over_the_wire(seed, numbers[:warm], server, paths))
        before = server.resident_bytes
        codes = asyncio.run(over_the_wire(seed, numbers[warm:], server, paths))
        print(f"{transport}: {len(numbers):,} messages, {dict(codes)}, {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        count = connections(seed, connecting if transport in BEARS_CONNECTIONS else (), server)
        print(f"{transport}: {count:,} connections, {time.monotonic() - began:.0f} s, ", end="")
        print(f"{before >> 20} -> {server.resident_bytes >> 20} MiB", flush=True)
        check_server(server, workers, before, seed)


async def all_paths(folder: Path) -> list[str]:
    async with house(folder) as methods:
        return [method.path for method in methods if method.path != ENDLESS]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--message", type=int, help="this one alone")
    chosen = parser.parse_args()
    print(f"--seed {chosen.seed}", flush=True)
    one = range(chosen.message, chosen.message + 1) if chosen.message is not None else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            print(asyncio.run(in_process(chosen.seed, one or range(chosen.messages), Path(folder) / "models")))
            print(f"{chosen.messages:,} messages in this process, {time.monotonic() - began:.0f} s", flush=True)
        for transport in get_args(Transport) if one is None else ():
            with tempfile.TemporaryDirectory() as folder:
                share = range(chosen.messages // 20)
                on_a_server(chosen.seed, share, range(chosen.connections), Path(folder), transport)
    except Failed as err:
        sys.exit(f"{err}")


if __name__ == "__main__":
    main()
