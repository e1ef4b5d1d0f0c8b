"""Whose turn it is on a stream: requests that could not be sent are answered in their place among those that were.

Knows no channel. One side says what was sent, perhaps in a thread of gRPC's; the other asks what comes next.
"""

from collections import deque
from collections.abc import Iterator

import grpc

from vouch.client.errors import CallFailed

Turn = tuple[str, CallFailed]
UNSENDABLE = (ValueError, TypeError, OSError)
"""What is wrong with one request's images, and with none after it."""


class Turns:
    """The requests of one stream, in their order."""

    def __init__(self) -> None:
        self._unanswered: deque[Turn | None] = deque()  # None: was sent, its answer comes from the server
        self._broken: Exception | None = None

    def sent(self) -> None:
        """A request is on its way."""
        self._unanswered.append(None)

    def unsendable(self, name: str, err: Exception) -> None:
        """A request never leaves."""
        self._unanswered.append((name, CallFailed(str(err), grpc.StatusCode.INVALID_ARGUMENT)))

    def broken(self, err: Exception) -> None:
        """Whoever hands over the requests raised this, and there are no more."""
        self._broken = err

    def before_an_answer(self) -> Iterator[Turn]:
        """The unsendable requests that come before the next answer of the server."""
        while self._unanswered and (turn := self._unanswered.popleft()) is not None:
            yield turn

    def at_the_end(self) -> Iterator[Turn]:
        """Those after the last answer. Raises what the caller's own requests ended with, if they did."""
        yield from self.before_an_answer()
        if self._broken is not None:
            raise self._broken
