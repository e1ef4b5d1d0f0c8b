import errno
import os
import socket

import pytest

from vouch.server.errors import StartFailed
from vouch.server.supervisor.port import ReservedPort
from vouch.server.transport.addresses import cannot_listen


def listening(port: int, shared: bool) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_workers_share_the_reserved_port() -> None:
    """Several may listen, and calls reach them though the port is held."""
    with (
        ReservedPort("127.0.0.1", 0) as reserved,
        listening(reserved.port, True),
        listening(reserved.port, True),
        socket.create_connection(("127.0.0.1", reserved.port), timeout=5) as caller,
    ):
        assert caller.getpeername()[1] == reserved.port


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_on_which_another_server_listens_is_not_to_be_had(shared: bool) -> None:
    """Even one that would share it: it would take part of the calls in silence."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with (
        listening(port, shared),
        pytest.raises(StartFailed, match=f"cannot listen on 127.0.0.1:{port}: another program"),
    ):
        ReservedPort("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "this machine does not have this address"), ("no host", "this host name is unknown")],
)
def test_an_address_that_cannot_be_had_is_told_apart(host: str, reason: str) -> None:
    """From a port that is taken, and one from the other."""
    with pytest.raises(StartFailed, match=f"cannot listen on {host}:0: {reason}$"):
        ReservedPort(host, 0)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EACCES, "this user may not use this port"), (errno.ENOBUFS, os.strerror(errno.ENOBUFS))],
)
def test_other_reasons_are_told_too(number: int, reason: str) -> None:
    """As the system has them, or what is meant."""
    told = cannot_listen("host", 5, OSError(number, os.strerror(number)))

    assert told.startswith(f"cannot listen on host:5: {reason}")


def test_a_name_is_resolved() -> None:
    """For all who listen."""
    with ReservedPort("localhost", 0) as by_name:
        assert by_name.host in ("127.0.0.1", "::1")
