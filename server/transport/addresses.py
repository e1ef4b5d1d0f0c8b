"""Addresses: sockets that are bound there, and why one cannot be."""

import errno
import socket


def cannot_listen(host: str, port: int, err: OSError) -> str:
    """That it is not possible to listen there, and why."""
    return f"cannot listen on {host}:{port}: {_reason(err)}"


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
        host: a name or an address, an IPv6 one in brackets or not.
        port: 0 for a free one.
        shared: other processes of this user may listen there too.

    Raises:
        OSError: it is no address of this machine, or the port is taken.
    """
    family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
