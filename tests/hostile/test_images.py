"""Images that ask for much, sent to a server: others do not notice, and neither memory nor the end of it waits."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import grpc
import pytest

from tests.hostile.images import HOSTILE, chunk, jpeg, png
from tests.hostile.served import Bystander, Server, Taken, expect_kept, served, tried
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from vouch.server.settings import Transport

JPEG = "JPEG of 8000 x 8000 in 10 scans"
PNG = "PNG of 8000 x 8000 in 16 bits, a colour transparent"
DEAREST = {
    JPEG: lambda: jpeg(8000, 8000, progressive=True),
    PNG: lambda: png(8000, 8000, bits=16, colour=2, more=chunk(b"tRNS", bytes((0, 1) * 3))),
}
"""What may still be decoded."""
SMALL = png(4, 4, bits=8)
DRAINED_S = 4.0
"""The ten files that are being decoded would take far longer, one after the other; a busy machine needs two."""


def request(file: bytes) -> pb.PredictRequest:
    return pb.PredictRequest(encoded=pb.EncodedImages(files=[file]))


@pytest.fixture(params=["h2corn"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Both transports decode by the same code, so one test is run over each."""
    with served(tmp_path / "models", request.param, "--max-held-bytes", str(1 << 30)) as one:
        yield one


@pytest.fixture
def attacker(server: Server) -> Iterator[ClassifierStub]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        yield ClassifierStub(channel)


@pytest.fixture
def bystander(server: Server) -> Iterator[Bystander]:
    """Who sends small files."""
    one = Bystander(server, request(SMALL))
    yield one
    one.close()


def peak_mb(server: Server) -> int:
    """The most memory that its worker has held."""
    (worker,) = server.workers
    return int(Path(f"/proc/{worker}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def sent(
    attacker: ClassifierStub, files: list[bytes], timeout_s: float, enough: threading.Event
) -> set[grpc.StatusCode]:
    """Sends them again and again, one after the other; returns what they ended with."""
    ended = set()
    while not enough.is_set():
        for file in files:
            ended.add(attacker.Predict.future(request(file), timeout=timeout_s).code())
    return ended


def test_hostile_files_harm_nobody(server: Server, attacker: ClassifierStub, bystander: Bystander) -> None:
    """Who sends small files beside them waits for less than 100 ms in 99 of 100 calls; they are answered too."""
    files = [make() for make in HOSTILE.values()]
    workers, memory = server.workers, peak_mb(server)

    def once() -> Taken:
        with ThreadPoolExecutor(1) as thread:
            enough = threading.Event()
            sending = thread.submit(sent, attacker, files, 30, enough)
            taken = bystander.calls(2, 150)
            enough.set()
            assert sending.result() == {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
        return taken

    taken = tried(once, 0.1)
    assert peak_mb(server) - memory < 400
    assert server.workers == workers
    expect_kept(taken, 0.1)


@pytest.mark.parametrize(
    ("server", "name"),
    [*((transport, JPEG) for transport in get_args(Transport)), ("h2corn", PNG)],
    indirect=["server"],
)
def test_the_dearest_files_that_are_taken_keep_nobody_waiting(
    server: Server, attacker: ClassifierStub, bystander: Bystander, name: str
) -> None:
    """Ten callers send them, and leave after half a second. Small files are decoded beside them, and a stop waits for
    none of them.
    """
    files = [DEAREST[name]()]
    workers, memory = server.workers, peak_mb(server)

    def once() -> Taken:
        with ThreadPoolExecutor(10) as threads:
            enough = threading.Event()
            sending = [threads.submit(sent, attacker, files, 0.5, enough) for _ in range(10)]
            taken = bystander.calls(2, 150)
            enough.set()
            assert grpc.StatusCode.DEADLINE_EXCEEDED in set().union(*[one.result() for one in sending])
        return taken

    taken = tried(once, 0.25)
    assert peak_mb(server) - memory < 1100
    assert server.workers == workers
    assert server.drained() < DRAINED_S
    expect_kept(taken, 0.25)
