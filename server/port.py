"""The port that all workers share: taken once, so that no other server can be there, and held until the end."""

import errno
import socket
from types import TracebackType
from typing import Self

from vouch.server.errors import StartFailed


def cannot_listen(err: OSError) -> str:
    """Why not, in words."""
    if err.errno == errno.EADDRINUSE:
        return "another program listens there"
    if err.errno == errno.EADDRNOTAVAIL:
        return "it is no address of this machine"
    if err.errno in (errno.EACCES, errno.EPERM):
        return "this user may not listen there; ports from 1024 on are free to all"
    if isinstance(err, socket.gaierror):
        return "no machine of this name is known"
    return err.strerror or str(err)


class ReservedPort:
    """A port that processes of this user may listen on together; this one never listens itself."""

    def __init__(self, host: str, port: int) -> None:
        """
        Args:
            host: a name or an address, an IPv6 one in brackets or not.
            port: 0 for a free one.

        Raises:
            StartFailed: another program is there, or it is no address of this machine.
        """
        try:
            family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as alone:  # sharing with a stranger would lose calls in silence
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(address)
                alone.listen()  # with SO_REUSEADDR it is listening that is exclusive
                bound = alone.getsockname()
            self._socket = socket.socket(family, kind)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind(bound)
        except OSError as err:
            raise StartFailed(f"cannot listen on {host}:{port}: {cannot_listen(err)}") from err
        self.port: int = bound[1]

    def close(self) -> None:
        """Gives it up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
