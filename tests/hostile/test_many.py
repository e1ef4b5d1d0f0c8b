"""Much at once: connections, bodies that nobody finishes, answers that nobody reads, messages over the limit."""

import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import get_args

import grpc
import pytest

from tests.hostile.attacks import BEGIN, each
from tests.hostile.frames import DATA, MAX_FRAME, block, frame, headers, message, opening
from tests.hostile.raw_call import RawCall
from tests.hostile.served import Bystander, Server, served
from tests.programs import OURS, run_beside, until
from tests.tiny import tiny_images
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.settings import ServeSettings, Transport

LIMIT = ServeSettings.model_fields["max_message_bytes"].default
PROMISED_S = {1: 0.1, 10: 0.25}
MIB = 1 << 20


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """What is started here has so many; this process keeps its own."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.mark.parametrize("transport", get_args(Transport))
def test_more_idle_connections_than_there_are_descriptors_for(tmp_path: Path, transport: Transport) -> None:
    """1,500 at a limit of 1,024: the calls of others go on, and who comes when they have gone is answered."""
    with ExitStack() as stack:
        with descriptors(1024):
            server = stack.enter_context(served(tmp_path / "models", transport))
        workers, bystander = server.workers, Bystander(server)
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(1500)]
        for one in idle:
            stack.callback(one.close)
            one.sendall(BEGIN)

        taken = bystander.calls(0.7)
        for one in idle:
            one.close()
        Bystander(server).close()

        assert taken.kept(PROMISED_S[10]), taken
        assert server.workers == workers
        assert server.drained() < 10
        bystander.close()


def test_bodies_that_nobody_finishes(server: Server, bystander: Bystander) -> None:
    """Fifty of 20 MB less a byte: others are answered in time, and the memory is given back when they leave.

    h2corn's worker never holds more than the bytes that may wait in it, 512 MiB, and tells those who do not fit.
    """
    workers, before = server.workers, server.resident_bytes
    words = (str(server.port), "50", str(20 * MIB))
    with run_beside(sys.executable, "-m", "tests.hostile.unfinished", *words, env=OURS) as callers:
        callers.out.until("begun\n")
        taken = bystander.calls(1.0, attacker=callers.pid)
        callers.out.until("sent\n")
        held = server.resident_bytes - before
        taken_after = bystander.calls(0.5)
    if server.transport == "h2corn":
        assert held < 700 * MIB
    until(lambda: server.resident_bytes - before < 200 * MIB, lambda: f"{server.resident_bytes - before:,} are left")

    assert any(one.kept(PROMISED_S[10]) for one in (taken, taken_after)), (taken, taken_after)
    assert server.workers == workers


def test_answers_that_nobody_reads(server: Server, bystander: Bystander) -> None:
    """Ten streams whose answers make 100 MB each: what was not sent is not computed."""
    images, _ = tiny_images(16_384)
    one = pb.PredictRequest(raw=pb.RawImages(pixels=images.tobytes(), shape=images.shape), top_k=3)
    request = message(pb.PredictStreamRequest(id="a", request=one).SerializeToString())
    workers, before = server.workers, server.resident_bytes
    words = (str(server.port), "10", str(len(request) * 160))
    with run_beside(sys.executable, "-m", "tests.hostile.unread", *words, env=OURS) as callers:
        callers.out.until("begun\n")
        taken = bystander.calls(2.0, attacker=callers.pid)
        held = server.resident_bytes - before
    assert held < 700 * MIB
    until(lambda: server.resident_bytes - before < 200 * MIB, lambda: f"{server.resident_bytes - before:,} are left")

    assert taken.kept(PROMISED_S[10]), taken
    assert server.workers == workers
