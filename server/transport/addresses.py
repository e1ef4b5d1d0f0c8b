"""Addresses: what a host stands for, sockets that are bound there, how people write it, and why it cannot be had.

The supervisor resolves a host once. Whoever listens, in whatever process, gets the address that came of it.
"""

import errno
import socket
from contextlib import suppress
from ipaddress import IPv6Address


def resolved(host: str) -> str:
    """The one address that is listened on: the first of a name that has several.

    Args:
        host: a name or an address; an IPv6 one without brackets.

    Raises:
        OSError: no machine of this name is known.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    numeric, _ = socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST)
    return numeric


def written(host: str, port: int) -> str:
    """Host and port as callers write them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if is_ipv6(host) else f"{host}:{port}"


def is_ipv6(host: str) -> bool:
    """Whether it is an IPv6 address, not a name nor an IPv4 one."""
    with suppress(ValueError):
        return bool(IPv6Address(host).version)
    return False


def cannot_listen(host: str, port: int, err: OSError) -> str:
    """That it is not possible to listen there, and why."""
    return f"cannot listen on {written(host, port)}: {_reason(err)}"


def _reason(err: OSError) -> str:
    if err.errno == errno.EADDRINUSE:
        return "another program listens there"
    if err.errno == errno.EADDRNOTAVAIL:
        return "it is no address of this machine"
    if err.errno in (errno.EACCES, errno.EPERM):
        return "this user may not listen there; ports from 1024 on are free to all"
    if isinstance(err, socket.gaierror):
        return "no machine of this name is known"
    return err.strerror or str(err)


def bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket that is bound there and does not listen.

    Args:
        host: a name or an address; an IPv6 one without brackets.
        port: 0 for a free one.
        shared: other processes of this user may listen there too.

    Raises:
        OSError: it is no address of this machine, or the port is taken.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def why_not(host: str, port: int, *, shared: bool) -> str:
    """That it is not possible to listen there, and why: for a library that does not say."""
    try:
        with bound(host, port, shared=shared) as tried:
            tried.listen()
    except OSError as err:
        return cannot_listen(host, port, err)
    return f"cannot listen on {written(host, port)}"
