"""A default server as a process, a caller who must not notice what others do to it, and what may be seen of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest

from tests.support.programs import OURS, Program, serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from vouch.server.supervisor.watchdog import TICKS_A_SECOND, vitals

PAUSE_S = 0.001
MOST_TIMES = 8
TRIES = 5
"""A machine with other work may be slow at any moment; what is done to a server does the same each time."""
MOST_OTHERS = 0.6
"""The share of the machine that other work may take for a time to say something."""
CORES = len(os.sched_getaffinity(0))
CALL_S = 10.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
REQUEST = pb.PredictRequest(model="tiny", raw=pb.RawImages(pixels=tiny_images(1)[0].tobytes(), shape=[1, 4, 4]))


@dataclass(frozen=True)
class Server:
    """`vouch serve`, with one worker."""

    program: Program
    port: int
    transport: str
    log: Path
    began_bytes: int = 0
    """What its workers held in memory when they had answered a few calls."""

    @property
    def workers(self) -> list[int]:
        """Their process numbers."""
        children = Path(f"/proc/{self.program.pid}/task/{self.program.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"VOUCH_WORKER" in Path(f"/proc/{pid}/environ").read_bytes()]

    @property
    def resident_bytes(self) -> int:
        """Of all workers."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES for pid in self.workers)

    @property
    def peak_bytes(self) -> int:
        """The most that they have held since `forget_peak`."""
        return sum(1024 * int(status(pid).split("VmHWM:")[1].split()[0]) for pid in self.workers)

    def forget_peak(self) -> None:
        """https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html."""
        for pid in self.workers:
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    @property
    def grown_bytes(self) -> int:
        """What they hold beyond that."""
        return self.resident_bytes - self.began_bytes

    def drained(self) -> float:
        """The seconds that it took to end after SIGTERM, in peace."""
        began = time.monotonic()
        self.program.tell(signal.SIGTERM)
        assert self.program.ended() == 0
        return time.monotonic() - began


@contextmanager
def served(
    models: Path, transport: str, *words: str, publish: Callable[[ModelsFolder], object] = publish_tiny
) -> Iterator[Server]:
    """One that is ready.

    Args:
        publish: what it serves, a model called tiny among it.
    """
    folder = ModelsFolder(models)
    publish(folder)
    log = models.parent / "log"
    with serving_beside(models, "--transport", transport, *words, env=OURS, shell=f"2>{log}") as (place, program):
        with Client(place["address"]) as client:
            until(client.ready)
            until(lambda: {one.name for one in client.models() if one.state == "serving"} == {*folder.names()})
        server = Server(program, int(place["address"].rpartition(":")[2]), transport, log)
        bystander = Bystander(server)
        bystander.calls(0.5)
        bystander.close()
        yield replace(server, began_bytes=server.resident_bytes)


class Bystander:
    """A caller with a connection of its own, who makes small calls one after the other."""

    def __init__(self, server: Server, request: pb.PredictRequest = REQUEST) -> None:
        self._server = server
        self._request = request
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options)
        self._stub = ClassifierStub(self._channel)
        self.call()  # connected

    def call(self) -> None:
        """An error raises."""
        self._stub.Predict(self._request, timeout=CALL_S)

    def calls(self, seconds: float, at_least: int = 1, attacker: int | None = None) -> "Taken":
        """Calls without a pause worth the name, up to `MOST_TIMES` as long for so many.

        Args:
            attacker: its process, if there is one.
        """
        taken: list[float] = []
        ours = [os.getpid(), self._server.program.pid, *self._server.workers, *([attacker] if attacker else [])]
        began, before = time.monotonic(), others_s(ours)
        while (asked := time.monotonic()) - began < seconds or (
            len(taken) < at_least and asked - began < MOST_TIMES * seconds
        ):
            self.call()
            taken.append(time.monotonic() - asked)
            time.sleep(PAUSE_S)
        others = (others_s(ours) - before) / (time.monotonic() - began) / CORES
        return Taken(sorted(taken), min(max(others, 0.0), 0.9))

    def close(self) -> None:
        self._channel.close()


@dataclass(frozen=True)
class Taken:
    """How long each call took, in seconds, in rising order."""

    rising: list[float]
    others: float
    """The share of the machine that was spent on what has nothing to do with this, at most 0.9."""

    @property
    def p99(self) -> float:
        return self.rising[int(0.99 * len(self.rising))]

    def kept(self, promised_s: float) -> bool:
        """Whether 99 % of the calls kept to what is promised where nothing else runs.

        Where half of the machine was taken by others, all takes twice as long.
        """
        return self.p99 <= promised_s / (1 - self.others)

    def __str__(self) -> str:
        return f"p99 {self.p99 * 1e3:.0f} ms of {len(self.rising)} calls, {self.others:.0%} of the machine were others'"


def tried(once: Callable[[], Taken], promised_s: float, tries: int = TRIES) -> list[Taken]:
    """What calls took, again and again until they keep to what is promised."""
    taken: list[Taken] = []
    while len(taken) < tries and not (taken and taken[-1].kept(promised_s)):
        taken.append(once())
    return taken


def expect_kept(taken: Sequence[Taken], promised_s: float) -> None:
    """Fails if no try kept to what is promised; skips where other work took most of the machine. For a test's end."""
    if any(one.kept(promised_s) for one in taken):
        return
    said = ", ".join(map(str, taken))
    if sum(one.others for one in taken) / len(taken) > MOST_OTHERS:
        pytest.skip(f"nothing can be timed on this machine now: {said}")
    pytest.fail(f"others had to wait each time: {said}")


def status(pid: int) -> str:
    """What the system says of a process."""
    return Path(f"/proc/{pid}/status").read_text()


def others_s(ours: list[int]) -> float:
    """Processor time that was spent on all but these processes: https://man7.org/linux/man-pages/man5/proc_stat.5.html."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / TICKS_A_SECOND - sum(used_s(pid) for pid in ours)


def used_s(pid: int) -> float:
    found = vitals(pid)
    return found.cpu_s if found else 0.0
