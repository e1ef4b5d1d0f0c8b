"""Images that ask for much, sent to a server: others do not notice, and neither memory nor the end of it waits."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.hostile.images import HOSTILE, chunk, jpeg, png
from tests.programs import Program, serving_beside, until
from tests.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub

DEAREST = {
    "JPEG of 8000 x 8000 in 10 scans": lambda: jpeg(8000, 8000, progressive=True),
    "PNG of 8000 x 8000 in 16 bits, a colour transparent": lambda: png(
        8000, 8000, bits=16, colour=2, more=chunk(b"tRNS", bytes((0, 1) * 3))
    ),
}
"""What may still be decoded."""
SMALL = png(4, 4, bits=8)
BUSY = 10
"""Where other programs keep the machine busy, calls take long without an attack too: so many times as long they may."""
ANSWERED = (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)


def request(file: bytes) -> pb.PredictRequest:
    return pb.PredictRequest(encoded=pb.EncodedImages(files=[file]))


def calls(address: str) -> Iterator[ClassifierStub]:
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield ClassifierStub(channel)


@pytest.fixture(params=["h2corn", "grpcio"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Program]]:
    """A default one that serves the tiny model: its address, and its process."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    with serving_beside(tmp_path / "models", "--transport", request.param) as (place, program):
        with Client(place["address"]) as client:
            until(client.ready)
        yield place["address"], program


def worker_of(program: Program) -> int:
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    (worker,) = [int(pid) for pid in children if b"VOUCH_WORKER" in Path(f"/proc/{pid}/environ").read_bytes()]
    return worker


def memory_mb(pid: int, kind: str) -> int:
    """
    Args:
        kind: VmRSS now, VmHWM at its peak.
    """
    return int(Path(f"/proc/{pid}/status").read_text().split(f"{kind}:")[1].split()[0]) // 1024


@pytest.fixture
def attacker(server: tuple[str, Program]) -> Iterator[ClassifierStub]:
    yield from calls(server[0])


@pytest.fixture
def bystander(server: tuple[str, Program]) -> Iterator[ClassifierStub]:
    yield from calls(server[0])


@pytest.mark.timeout(120)
def test_hostile_files_harm_nobody(
    server: tuple[str, Program], attacker: ClassifierStub, bystander: ClassifierStub
) -> None:
    """A caller beside them sends small files, and waits for less than 100 ms in 99 of 100 calls."""
    worker = worker_of(server[1])
    calm = p99([seconds_of(bystander) for _ in range(200)])
    memory = memory_mb(worker, "VmRSS")
    taken = []
    for make in HOSTILE.values():
        attack = request(make())
        attacking = attacker.Predict.future(attack, timeout=30)
        taken += [seconds_of(bystander) for _ in range(20)]
        assert attacking.code() in ANSWERED

    assert p99(taken) < max(0.1, BUSY * calm)
    assert memory_mb(worker, "VmHWM") - memory < 400
    assert worker_of(server[1]) == worker


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", DEAREST)
def test_the_dearest_files_that_are_taken_keep_nobody_waiting(
    server: tuple[str, Program], attacker: ClassifierStub, bystander: ClassifierStub, name: str
) -> None:
    """Ten at once whose callers leave after half a second; small files are decoded beside them, and a stop waits for
    none of them.
    """
    program = server[1]
    worker = worker_of(program)
    calm = p99([seconds_of(bystander) for _ in range(200)])
    memory = memory_mb(worker, "VmRSS")
    attack = request(DEAREST[name]())
    attacking = [attacker.Predict.future(attack, timeout=0.5) for _ in range(10)]
    taken = [seconds_of(bystander) for _ in range(100)]

    assert {call.code() for call in attacking} <= {*ANSWERED, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert p99(taken) < max(0.25, BUSY * calm)
    assert memory_mb(worker, "VmHWM") - memory < 1100
    attacking = [attacker.Predict.future(attack, timeout=0.5) for _ in range(10)]
    assert grpc.StatusCode.DEADLINE_EXCEEDED in {call.code() for call in attacking}
    began = time.monotonic()
    program.tell(signal.SIGTERM)
    assert program.ended() == 0
    assert time.monotonic() - began < 2


def seconds_of(caller: ClassifierStub) -> float:
    """How long a small file takes."""
    began = time.monotonic()
    caller.Predict(request(SMALL), timeout=30)
    return time.monotonic() - began


def p99(taken: list[float]) -> float:
    """What 99 of 100 calls do not exceed."""
    return sorted(taken)[int(0.99 * len(taken)) - 1]
