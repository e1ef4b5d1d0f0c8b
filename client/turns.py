"""The order of answers on a stream: a request that could not be sent gets its error at its position among the others.

Knows no channel. One side reports what was sent, perhaps in a thread of gRPC; the other reads what comes next.
"""

from collections import deque
from collections.abc import Iterator

import grpc

from vouch.client.errors import CallFailed

Turn = tuple[str, CallFailed]
UNSENDABLE = (ValueError, TypeError, OSError)
"""Errors in the images of one request, which do not concern later ones."""


class Turns:
    """The requests of one stream, in their order."""

    def __init__(self) -> None:
        self._unanswered: deque[Turn | None] = deque()  # None: sent, the server answers it
        self._broken: Exception | None = None

    def sent(self) -> None:
        """Records that a request was sent."""
        self._unanswered.append(None)

    def unsendable(self, name: str, err: Exception) -> None:
        """Records that a request cannot be sent."""
        self._unanswered.append((name, CallFailed(str(err), grpc.StatusCode.INVALID_ARGUMENT)))

    def broken(self, err: Exception) -> None:
        """Records that the caller's iterable of requests raised this, and has ended."""
        self._broken = err

    def before_an_answer(self) -> Iterator[Turn]:
        """The unsendable requests before the server's next answer."""
        while self._unanswered and (turn := self._unanswered.popleft()) is not None:
            yield turn

    def at_the_end(self) -> Iterator[Turn]:
        """The unsendable requests after the last answer. Then raises what the caller's iterable raised, if it did."""
        yield from self.before_an_answer()
        if self._broken is not None:
            raise self._broken
