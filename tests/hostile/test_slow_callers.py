"""Callers who are slow, silent, or speak something else: they cost others nothing, and their connections end."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.hostile.attacks import BEGIN, TLS_HELLO
from tests.hostile.frames import DATA, PREFACE, block, frame, headers, message
from tests.hostile.served import Bystander, Server, Taken, expect_kept, tried
from vouch.server.transport.limits import HANDSHAKE_S

EACH = 10
"""Connections of a kind at once."""
PROMISED_S = 0.1
ALLOWED_S = HANDSHAKE_S + 10
"""For a connection to be ended that has not begun as it should; half a block of headers may take 10 s."""
NOT_BEGUN = {
    "silent": b"",
    "half a preface": PREFACE[:11],
    "garbage": bytes(range(256)) * 8,
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": TLS_HELLO,
}


def connected(server: Server, stack: ExitStack, said: bytes) -> socket.socket:
    one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
    one.sendall(said)
    one.setblocking(False)
    return one


def has_ended(one: socket.socket) -> bool:
    """What the server says before is passed over."""
    try:
        while one.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def test_connections_that_do_not_begin_as_they_should_are_ended(server: Server, bystander: Bystander) -> None:
    """Soon, whatever was said on them, and others are answered in time meanwhile."""
    with ExitStack() as stack:
        began = time.monotonic()
        kinds = {name: [connected(server, stack, said) for _ in range(EACH)] for name, said in NOT_BEGUN.items()}

        taken = tried(lambda: bystander.calls(1.0), PROMISED_S)
        left = until_ended(kinds, began + ALLOWED_S)

    assert left == {}
    expect_kept(taken, PROMISED_S)


def until_ended(kinds: dict[str, list[socket.socket]], ends: float) -> dict[str, int]:
    """Of which kind how many connections are left when all are closed, or the time is over."""
    while True:
        left = {name: sum(not has_ended(one) for one in all_of_it) for name, all_of_it in kinds.items()}
        left = {name: count for name, count in left.items() if count}
        if not left or time.monotonic() > ends:
            return left
        time.sleep(0.1)


@pytest.mark.parametrize(
    "said",
    [
        BEGIN + headers(1, block(), 0)[:40],
        BEGIN + headers(1, block()),
        BEGIN + headers(1, block()) + frame(DATA, message(bytes(1000))[:500], 1),
        BEGIN + headers(1, block()) + frame(DATA, message(bytes(1 << 20))[:500], 1)[:50],
    ],
    ids=["half of the headers", "headers alone", "half a message", "half a frame of data"],
)
def test_calls_that_stand_still_hold_up_nobody(server: Server, bystander: Bystander, said: bytes) -> None:
    """A hundred on connections of their own; h2corn ends them after some time, as test_arriving.py shows."""
    with ExitStack() as stack:
        for _ in range(100):
            connected(server, stack, said)

        taken = tried(lambda: bystander.calls(0.5), PROMISED_S)

    expect_kept(taken, PROMISED_S)


def test_bodies_that_drip_hold_up_nobody(server: Server, bystander: Bystander) -> None:
    """A byte at a time, in a frame of its own, on a hundred connections."""
    byte = frame(DATA, b"\0", 1)
    with ExitStack() as stack:
        callers = [connected(server, stack, BEGIN + headers(1, block())) for _ in range(100)]

        def drip() -> None:
            for one in callers:
                one.sendall(byte)

        taken = tried(lambda: calls_beside(bystander, drip), PROMISED_S)

    expect_kept(taken, PROMISED_S)


def calls_beside(bystander: Bystander, drip: Callable[[], None]) -> Taken:
    drip()
    return bystander.calls(0.2)
