import os
import socket
from pathlib import Path

from vouch.server.transport.limits import Listening
from vouch.server.transport.listening_socket import descriptors, duplicates_of_connections, listening_socket


def test_connections_at_a_port_are_found_among_all_that_is_open() -> None:
    """Neither the listener, nor callers' own ends, nor files; and nothing that was looked at stays open."""
    with listening_socket(Listening()) as listens, Path(os.devnull).open() as _:
        port = listens.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
            listens.settimeout(10)
            connection, _ = listens.accept()
            with connection:
                before = len(descriptors())
                found = duplicates_of_connections(port, 10)
                assert len(descriptors()) == before + 1
            caller.settimeout(10)
            (held,) = found
            os.write(held, b"still open")
            assert caller.recv(100) == b"still open"
            os.close(held)
            assert caller.recv(100) == b""


def test_no_more_connections_are_held_than_there_is_room_for() -> None:
    """What is left out is closed when its library closes it."""
    with listening_socket(Listening()) as listens:
        port = listens.getsockname()[1]
        callers = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        listens.settimeout(10)
        connections = [listens.accept()[0] for _ in callers]

        found = duplicates_of_connections(port, 2)
        assert len(found) == 2
        assert duplicates_of_connections(port, -5) == []
        for number in found:
            os.close(number)
        for one in (*callers, *connections):
            one.close()
