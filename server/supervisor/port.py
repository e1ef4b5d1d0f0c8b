"""The port that all workers share, reserved until the end."""

from types import TracebackType
from typing import Self

from vouch.server.errors import StartFailed
from vouch.server.transport.addresses import bound, cannot_listen, resolved


class ReservedPort:
    """A port on which several processes of this user may listen; this process never listens on it."""

    def __init__(self, host: str, port: int) -> None:
        """
        Args:
            host: a name or an address; an IPv6 one without brackets.
            port: 0 for a free one.

        Raises:
            StartFailed: another program uses it, or the address is not one of this machine.
        """
        try:
            self.host = resolved(host)
            """The numeric address."""
            with bound(self.host, port, shared=False) as alone:  # sharing it with another program would lose calls
                alone.listen()  # with SO_REUSEADDR, only listening is exclusive
                self.port: int = alone.getsockname()[1]
            self._socket = bound(self.host, self.port, shared=True)
        except OSError as err:
            raise StartFailed(cannot_listen(host, port, err)) from err

    def close(self) -> None:
        """Releases the port."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
