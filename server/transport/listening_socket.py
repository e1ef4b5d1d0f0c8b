"""A listening socket of our own: what connections inherit, how it hears nobody for a moment, and how connections
outlive a library that closes them too soon.
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
"""Linux's; Python has no names for them."""


def listening_socket(listening: Listening) -> socket.socket:
    """A socket that listens there, and never waits: all its duplicates are one to Linux, and what waits in one would
    wait in all.

    Raises:
        StartFailed: the address is taken or not available.
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
    """What connections inherit: TCP's keepalive; how long a caller may read nothing, which h2corn limits over HTTP/2
    alone; and that none which has ended keeps the next server from the port.
    """
    listens.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listens.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_S * 1000))
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def hear_nobody(listens: socket.socket) -> None:
    """Has Linux drop all that comes to a listener: a filter of one instruction, "keep 0 bytes" (socket(7)).

    Who comes meanwhile asks again a second later.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, 0))
    listens.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def hear_again(listens: socket.socket) -> None:
    """The opposite."""
    if sys.platform == "linux":
        listens.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def descriptors() -> list[int]:
    """The numbers of all files and sockets that this process has open."""
    return [int(path.name) for path in Path("/proc/self/fd").iterdir()]


def duplicates_of_connections(port: int, most: int) -> list[int]:
    """More descriptors of this process's connections at a port: until they are closed, none of them is closed for its
    caller.

    Args:
        most: how many there may be.
    """
    found: set[int] = set()
    for number in descriptors():
        if len(found) >= most:
            break
        if number in found:  # it was that of the folder when the descriptors were listed
            continue
        with suppress(OSError):
            duplicate = os.dup(number)
            if _is_connection(duplicate, port):
                found.add(duplicate)
            else:
                os.close(duplicate)
    return list(found)


def close_all(held: list[int]) -> None:
    """Closes these descriptors, which are in the list no longer."""
    while held:
        os.close(held.pop())


def _is_connection(number: int, port: int) -> bool:
    """Whether a descriptor, which stays open, is of a connection at this port of ours."""
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
