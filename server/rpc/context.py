"""What a call has in addition to its messages, and what is recorded for its count."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Protocol

from vouch.server.budget import Hold
from vouch.server.counting.statistics import Requests
from vouch.server.errors import MessageTooLarge

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED = 0, 1, 2, 4
"""gRPC's codes for calls without an error of ours; `status` has those of errors."""
ROUNDING_S, ROUNDING_SHARE = 0.01, 0.01
"""Rounding of a received deadline: gRPC's core rounds up to three digits."""
RESERVED_BEGINNINGS, RESERVED = (":", "grpc-"), {"content-type", "te", "host"}
"""HTTP's and gRPC's own headers: prefixes, and whole names."""


def is_reserved(name: str) -> bool:
    """Whether a header is HTTP's or gRPC's own, not the caller's."""
    return name in RESERVED or name.startswith(RESERVED_BEGINNINGS)


class Caller(Protocol):
    """A transport's view of the caller."""

    @property
    def peer(self) -> str:
        """The caller's address in gRPC's notation."""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """The values of one of the caller's own headers, in order; bytes if its name ends with `-bin`. Empty for
        headers of HTTP and of gRPC itself.

        Args:
            name: in lower case.

        Raises:
            InvalidRequest: a value that must be base64 is not.
        """


class Nobody:
    """A caller without an address and without headers."""

    peer = ""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """No values."""
        return ()


NOBODY = Nobody()


@dataclass(eq=False, slots=True)
class CallContext:
    """Context of one call, or of one message of a stream."""

    deadline: float | None = None
    """In the event loop's time; None if there is no deadline."""
    caller: Caller = NOBODY
    max_answer_bytes: int = sys.maxsize
    """Limit of one message."""
    hold: Hold = field(default_factory=Hold)
    """Memory in use for this call or message; given back when the answer is sent."""
    counted_in: Requests | None = None
    """The counts of the version that it uses; None until one is found."""
    code: int = OK
    """Code of an answer within a stream; an answer may report an error."""
    trailers: tuple[tuple[str, str], ...] = ()
    """Trailers of a stream, sent after its last message; names in lower case."""

    def is_due(self, took_s: float) -> bool:
        """Whether the caller's deadline has passed, `took_s` after the start of the call."""
        if self.deadline is None:
            return False
        left_s = self.deadline - asyncio.get_running_loop().time()
        return left_s <= ROUNDING_S + ROUNDING_SHARE * (took_s + left_s)

    def check_answer(self, size: int) -> None:
        """Checks the size of a message before it is sent.

        Args:
            size: in bytes.

        Raises:
            MessageTooLarge: it is over the limit.
        """
        if size > self.max_answer_bytes:
            raise MessageTooLarge(
                f"the answer has {size:,} bytes, and the limit is {self.max_answer_bytes:,}; request less at a time"
            )

    def of_one(self, hold: Hold) -> "CallContext":
        """The context of one message of a stream: the same with a hold of its own, and nothing recorded."""
        return CallContext(self.deadline, self.caller, self.max_answer_bytes, hold)
