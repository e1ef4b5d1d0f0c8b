"""Addresses: resolves hosts, binds sockets, formats addresses, and explains why a server cannot listen.

The supervisor resolves a host once. All processes that listen get the resulting address.
"""

import errno
import socket
from contextlib import suppress
from ipaddress import IPv6Address


def resolved(host: str) -> str:
    """The numeric address to listen on: the first, if a name has several.

    Args:
        host: a name or an address; an IPv6 one without brackets.

    Raises:
        OSError: the name cannot be resolved.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    numeric, _ = socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST)
    return numeric


def written(host: str, port: int) -> str:
    """Host and port in one text; an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if is_ipv6(host) else f"{host}:{port}"


def is_ipv6(host: str) -> bool:
    """Whether it is an IPv6 address, not a name or an IPv4 address."""
    with suppress(ValueError):
        return bool(IPv6Address(host).version)
    return False


def cannot_listen(host: str, port: int, err: OSError) -> str:
    """The message that a server cannot listen there, and why."""
    return f"cannot listen on {written(host, port)}: {_reason(err)}"


def _reason(err: OSError) -> str:
    if err.errno == errno.EADDRINUSE:
        return "another program uses this port"
    if err.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have this address"
    if err.errno in (errno.EACCES, errno.EPERM):
        return "this user may not use this port; ports from 1024 on need no privilege"
    if isinstance(err, socket.gaierror):
        return "this host name is unknown"
    return err.strerror or str(err)


def bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket bound to this address, which does not listen.

    Args:
        host: a name or an address; an IPv6 one without brackets.
        port: 0 for a free one.
        shared: whether other processes of this user may listen there too.

    Raises:
        OSError: this machine does not have the address, or the port is in use.
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
    """As `cannot_listen`, for a library that does not give the reason: tries it again."""
    try:
        with bound(host, port, shared=shared) as tried:
            tried.listen()
    except OSError as err:
        return cannot_listen(host, port, err)
    return f"cannot listen on {written(host, port)}"
