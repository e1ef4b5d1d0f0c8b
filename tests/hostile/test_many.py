"""Much at once: connections, bodies that nobody finishes, answers that nobody reads, messages over the limit."""

import gzip
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args

import grpc
import pytest

from tests.hostile.attacks import BEGIN, IMAGE
from tests.hostile.frames import INFER, MAX_FRAME, PREDICT, message
from tests.hostile.raw_call import RawCall
from tests.hostile.served import Bystander, Server, expect_kept, served, tried
from tests.support.programs import OURS, run_beside, until
from vouch.server.settings import ServeSettings, Transport

LIMIT = ServeSettings.model_fields["max_message_bytes"].default
PROMISED_S = {1: 0.1, 10: 0.25}
MIB = 1 << 20
HELD_BYTES = {"h2corn": 700 * MIB, "grpcio": 1300 * MIB}
LEFT_BYTES = {"h2corn": 200 * MIB, "grpcio": 500 * MIB}
DRAINED_S = 3 + 5 + 7
"""The grace, what a worker has to close, and a busy machine."""


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

        taken = tried(lambda: bystander.calls(0.7), PROMISED_S[10])
        for one in idle:
            one.close()
        Bystander(server).close()

        assert server.workers == workers
        assert server.drained() < 10
        bystander.close()
    expect_kept(taken, PROMISED_S[10])


@pytest.mark.parametrize(("what", "count"), [("unfinished", 50), ("unread", 10)])
def test_what_callers_keep_is_bounded(server: Server, bystander: Bystander, what: str, count: int) -> None:
    """Fifty bodies of 20 MB without their last byte; ten callers who do not read answers of 100 MB.

    Others are answered in time, and when they leave, the memory is given back. h2corn's worker never holds more than
    the bytes that may wait in it, 512 MiB; gRPC's core takes each message that is below the limit.
    """
    workers, before = server.workers, server.resident_bytes
    words = ("-m", "tests.hostile.holding", what, str(server.port), str(count))
    with run_beside(sys.executable, *words, env=OURS) as callers:
        callers.out.until("begun\n")
        taken = tried(lambda: bystander.calls(1.0, attacker=callers.pid), PROMISED_S[10])
        callers.out.until("held\n")
        held = server.resident_bytes - before
        later = tried(lambda: bystander.calls(0.3, attacker=callers.pid), PROMISED_S[10])
        print(f"{server.transport}, {what}: {taken[-1]}; then {later[-1]}; {held >> 20} MiB held")
    assert held < HELD_BYTES[server.transport]
    until(
        lambda: server.resident_bytes - before < LEFT_BYTES[server.transport],
        lambda: f"{server.resident_bytes - before:,} are left",
    )

    assert server.workers == workers
    expect_kept(taken, PROMISED_S[10])
    expect_kept(later, PROMISED_S[10])


@pytest.mark.parametrize(
    ("length", "said"),
    [(LIMIT + 1, b""), (1 << 30, b""), (LIMIT + 1, bytes(60_000)), ((1 << 32) - 1, b"")],
    ids=["a byte more", "1 GiB", "a byte more, and some of it", "4 GiB"],
)
def test_messages_over_the_limit_are_refused_by_their_length(server: Server, length: int, said: bytes) -> None:
    """RESOURCE_EXHAUSTED as soon as they say it, with nothing of them kept."""
    before = server.resident_bytes
    with RawCall(server.port) as call:
        call.send(b"\0" + length.to_bytes(4, "big"))
        for at in range(0, len(said), MAX_FRAME):
            call.send(said[at : at + MAX_FRAME])
        status, _ = call.ended()

    assert status == "8"
    assert server.resident_bytes - before < 20 * MIB


@pytest.mark.parametrize("path", [PREDICT, INFER])
@pytest.mark.parametrize("content", [bytes(60 * MIB), b"\x08\x01" * (30 * MIB)], ids=["zeros", "fields"])
def test_a_bomb_is_refused(server: Server, path: str, content: bytes) -> None:
    """60 KB that become 60 MiB: INVALID_ARGUMENT, because what comes out is no request."""
    body = message(gzip.compress(content), compressed=True)
    with RawCall(server.port, path, ("grpc-encoding", "gzip")) as call:
        call.send_all(body)
        status, _ = call.ended()

    assert status == "3"


@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_a_bomb_over_the_limit_is_refused(server: Server, path: str) -> None:
    """64 MiB and a byte, inflated: RESOURCE_EXHAUSTED, and no memory is taken for more; for that twice, as it grows."""
    body = message(gzip.compress(bytes(LIMIT + 1)), compressed=True)
    before = server.resident_bytes
    with RawCall(server.port, path, ("grpc-encoding", "gzip")) as call:
        call.send_all(body)
        status, _ = call.ended()

    assert status == "8"
    assert server.resident_bytes - before < 3 * LIMIT


@pytest.mark.parametrize("transport", get_args(Transport))
def test_a_server_drains_under_attack(tmp_path: Path, transport: Transport) -> None:
    """In time and in peace, whatever is sent to it, and by whoever keeps what it gave."""
    with served(tmp_path / "models", transport, "--grace-s", "3") as server, ExitStack() as stack:
        for name in ("rapid reset", "calls without an end", "PING", "SETTINGS, unread"):
            words = ("-m", "tests.hostile.attacker", name, str(server.port), "3", "30")
            attacker = stack.enter_context(run_beside(sys.executable, *words, env=OURS))
            attacker.out.until("begun\n")
        for what in ("unfinished", "unread"):
            holding = ("-m", "tests.hostile.holding", what, str(server.port), "3")
            stack.enter_context(run_beside(sys.executable, *holding, env=OURS)).out.until("begun\n")

        assert server.drained() < DRAINED_S


@pytest.mark.parametrize(
    ("path", "more", "statuses"),
    [
        ("/vouch.v1.Classifier/Guess", (), {"12"}),
        ("/a", (), {"12"}),
        (PREDICT, (("grpc-timeout", "soon"),), {"3", "13"}),
        (PREDICT, (("grpc-timeout", "9" * 30 + "S"),), {"3", "13", "0"}),
    ],
    ids=["no such method", "no method at all", "no timeout", "a long timeout"],
)
def test_a_call_that_is_none_is_refused(
    server: Server, path: str, more: tuple[tuple[str, str], ...], statuses: set[str]
) -> None:
    """And the next one is answered."""
    with RawCall(server.port, path, *more) as call:
        call.send(message(IMAGE), last=True)
        status, said = call.ended()
    print(server.transport, status, said)
    bystander = Bystander(server)
    bystander.close()

    assert status in statuses


def test_20_kib_of_metadata_are_refused(server: Server) -> None:
    """And the next call on the same connection is answered."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        predict: Any = channel.unary_unary(PREDICT)
        with pytest.raises(grpc.RpcError):
            predict(IMAGE, metadata=(("a", "x" * 20_000),), timeout=10)

        assert predict(IMAGE, timeout=10)
