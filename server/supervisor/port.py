"""The port that all workers share, taken once and held until the end."""

from types import TracebackType
from typing import Self

from vouch.server.errors import StartFailed
from vouch.server.transport.addresses import bound, cannot_listen, resolved


class ReservedPort:
    """A port that processes of this user may listen on together; this one never listens itself."""

    def __init__(self, host: str, port: int) -> None:
        """
        Args:
            host: a name or an address; an IPv6 one without brackets.
            port: 0 for a free one.

        Raises:
            StartFailed: another program is there, or it is no address of this machine.
        """
        try:
            self.host = resolved(host)
            """The address that it is at, as numbers."""
            with bound(self.host, port, shared=False) as alone:  # sharing with a stranger would lose calls in silence
                alone.listen()  # with SO_REUSEADDR it is listening that is exclusive
                self.port: int = alone.getsockname()[1]
            self._socket = bound(self.host, self.port, shared=True)
        except OSError as err:
            raise StartFailed(cannot_listen(host, port, err)) from err

    def close(self) -> None:
        """Gives it up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
