"""A listening socket of our own: options that connections inherit, a pause of new connections, and duplicates of
connections, which a library would close too soon.
"""

import ctypes
import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from vouch.server.errors import StartFailed
from vouch.server.transport.addresses import bound, cannot_listen
from vouch.server.transport.limits import KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES, STALL_S, Listening

BACKLOG = 1024
SO_ATTACH_FILTER, SO_DETACH_FILTER, BPF_RETURN = 26, 27, 0x06
"""Linux's constants, for which Python has no names."""


def listening_socket(listening: Listening) -> socket.socket:
    """A non-blocking listening socket; its duplicates share its blocking mode.

    Raises:
        StartFailed: the address is in use or not available.
    """
    try:
        made = bound(listening.host, listening.port, shared=listening.shared)
        made.listen(BACKLOG)
    except OSError as err:
        raise StartFailed(cannot_listen(listening.host, listening.port, err)) from err
    made.setblocking(False)
    _hand_down(made)
    return made


def _hand_down(listens: socket.socket) -> None:
    """Sets options that connections inherit: TCP keepalive; how long a caller may read nothing, which h2corn limits
    only for HTTP/2; and that ended connections do not block the port for the next server.
    """
    listens.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listens.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_S * 1000))
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def hear_nobody(listens: socket.socket) -> None:
    """Makes Linux drop all packets to a listener: a filter of one instruction, "keep 0 bytes" (socket(7)).

    TCP retries a new connection a second later.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, 0))
    listens.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def hear_again(listens: socket.socket) -> None:
    """Removes the filter of `hear_nobody`."""
    if sys.platform == "linux":
        listens.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def descriptors() -> list[int]:
    """The descriptors of all files and sockets that this process has open."""
    return [int(path.name) for path in Path("/proc/self/fd").iterdir()]


def duplicates_of_connections(port: int, most: int) -> list[int]:
    """Duplicates of the descriptors of this process's connections at a port: until they are closed, the connections
    stay open for their callers.

    Args:
        most: limit of their number.
    """
    found: set[int] = set()
    for number in descriptors():
        if len(found) >= most:
            break
        if number in found:  # it was the descriptor of the folder while listing
            continue
        with suppress(OSError):
            duplicate = os.dup(number)
            if _is_connection(duplicate, port):
                found.add(duplicate)
            else:
                os.close(duplicate)
    return list(found)


def close_all(held: list[int]) -> None:
    """Closes these descriptors, and empties the list."""
    while held:
        os.close(held.pop())


def _is_connection(number: int, port: int) -> bool:
    """Whether a descriptor is a connection at this port; leaves it open."""
    try:
        one = socket.socket(fileno=number)
    except OSError:  # no socket
        return False
    try:
        is_ip = one.family in (socket.AF_INET, socket.AF_INET6)
        return is_ip and one.getsockname()[1] == port and bool(one.getpeername())
    except OSError:  # not connected
        return False
    finally:
        one.detach()
