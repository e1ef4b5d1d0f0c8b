"""`vouch serve` of more models, what its metrics take, and what more connections do."""

import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import grpc

from benchmarks.growth.drawn import draw
from benchmarks.growth.spent import Figures, Server, of_vouch, served
from benchmarks.growth.trainings import ONCE
from tests.hostile.frames import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PREDICT,
    SETTINGS,
    block,
    frame,
    headers,
    message,
    opening,
)
from vouch.bundle.listed import MANIFEST, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle, open_bundle
from vouch.bundle.store import ModelsFolder
from vouch.protos.vouch.v1 import classifier_pb2 as pb

LARGE, SMALL = (71, 1000), (8, 10)
"""Pixels a side and classes: one layer of 20 MB, and one of 3 kB."""
IDLE_S = 10.0
SCRAPES = 5
SPARE = 200
"""Descriptors of a worker that are no connections."""
WITHIN_S = 60.0


def large_models(count: int, folder: Path) -> Figures:
    """So many models of 20 MB and 1,000 classes: until all are served, and what they take when nobody calls."""
    return _started(count, folder, *LARGE)


def small_models(count: int, folder: Path) -> Figures:
    """So many models of ten classes."""
    return _started(count, folder, *SMALL)


def _started(count: int, folder: Path, side: int, classes: int) -> Figures:
    bundle = _trained(folder, side, classes)
    models = ModelsFolder(folder / "many")
    names = [f"model-{number:03}" for number in range(count)]
    for name in names:
        _copy(bundle, models, name)
    began = time.perf_counter()
    with served(models.path, count) as server:
        seconds, spent = time.perf_counter() - began, server.processor_s()
        time.sleep(1.0)
        idle = server.processor_s()
        time.sleep(IDLE_S)
        figures = {"idle_share": (server.processor_s() - idle) / IDLE_S}
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call: Any = channel.unary_unary(PREDICT, request_serializer=pb.PredictRequest.SerializeToString)
            pixels = pb.RawImages(pixels=bytes(side * side), shape=[1, side, side])
            for name in names:
                call(pb.PredictRequest(model=name, raw=pixels), timeout=WITHIN_S)
        supervisor, worker = server.memory_mb()
        figures |= _scraped(server)
    return figures | {"seconds": seconds, "processor_s": spent, "supervisor_mb": supervisor, "memory_mb": worker}


def _scraped(server: Server) -> Figures:
    """Size of the metrics, and the processor time of the whole server that one scrape takes."""
    before = server.processor_s()
    size = median(len(server.scraped()) for _ in range(SCRAPES))
    return {"scrape_kb": size / 1024, "scrape_s": (server.processor_s() - before) / SCRAPES}


def connected(count: int, folder: Path) -> Figures:
    """So many connections to one worker: when they are open, and when each has made a call."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + SPARE:
        raise RuntimeError(f"the limit of file descriptors (ulimit -Hn) is {hard:,}: {count:,} connections need more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server has it from here
    bundle = _trained(folder, 28, 10)
    asked = pb.PredictRequest(model="model", raw=pb.RawImages(pixels=bytes(28 * 28), shape=[1, 28, 28]))
    with served(bundle.path.parent.parent, 1) as server, ExitStack() as stack:
        _call(stack.enter_context(_connection(server)), asked)
        before = server.memory_mb()[1]
        connections = [stack.enter_context(_connection(server)) for _ in range(count)]
        time.sleep(1.0)
        idle, spent = server.memory_mb()[1], server.processor_s()
        for one in connections:
            _call(one, asked)
        figures = {"processor_s": server.processor_s() - spent}
        called = server.memory_mb()[1]
    return figures | {"memory_mb": called, "idle_added_mb": idle - before, "called_added_mb": called - before}


def _trained(folder: Path, side: int, classes: int) -> Bundle:
    """One layer."""
    data = folder / "drawn.npz"
    draw(data, 3 * classes, side, classes, 100)
    words = ("--models", str(folder / "models"), "--name", "model", "--model", "linear", "--no-fit-digests")
    trained, _ = of_vouch("train", str(data), *words, *ONCE)
    return open_bundle(Path(trained["bundle"]))


def _copy(bundle: Bundle, models: ModelsFolder, name: str) -> None:
    """The same once more under another name."""

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        return bundle.manifest.model_copy(update={"name": name, "version": version, "files": entries})

    files = {one.name: one.read_bytes() for one in sorted(bundle.path.iterdir()) if one.name != MANIFEST}
    models.publish(name, files, describe)


def _connection(server: Server) -> socket.socket:
    """As a client opens it."""
    one = socket.create_connection(("127.0.0.1", server.port), timeout=WITHIN_S)
    one.sendall(opening() + frame(SETTINGS, flags=ACK))
    return one


def _call(connection: socket.socket, asked: pb.PredictRequest) -> None:
    """One call, and its whole answer. Raises RuntimeError: there was none."""
    connection.sendall(headers(1, block()) + frame(DATA, message(asked.SerializeToString()), 1, END_STREAM))
    read, answered = b"", False
    while True:
        while len(read) >= 9 and len(read) >= (ends := 9 + int.from_bytes(read[:3], "big")):
            kind, flags, read = read[3], read[4], read[ends:]
            answered |= kind == DATA
            if kind == HEADERS and flags & END_STREAM:
                if not answered:
                    raise RuntimeError("the call failed")
                return
        if not (piece := connection.recv(1 << 16)):
            raise RuntimeError("the server closed the connection")
        read += piece
