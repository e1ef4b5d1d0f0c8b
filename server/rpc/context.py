"""What a call carries beside its messages, and what is noted of it for those who count."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Protocol

from vouch.server.budget import Hold
from vouch.server.counting.statistics import Requests
from vouch.server.errors import MessageTooLarge

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED = 0, 1, 2, 4
"""gRPC's codes of calls that are no errors of ours; `status` has those of errors."""
ROUNDING_S, ROUNDING_SHARE = 0.01, 0.01
"""Of a deadline as a caller sends it: gRPC's core rounds up to three digits."""
RESERVED_BEGINNINGS, RESERVED = (":", "grpc-"), {"content-type", "te", "host"}
"""Of HTTP's and gRPC's own headers: how their names begin, and whole names."""


def is_reserved(name: str) -> bool:
    """Whether a header is HTTP's or gRPC's own, and none of the caller's."""
    return name in RESERVED or name.startswith(RESERVED_BEGINNINGS)


class Caller(Protocol):
    """Who calls, as the transport knows it."""

    @property
    def peer(self) -> str:
        """The caller's address, as gRPC writes it."""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """The values of a header of the caller's own, in the order in which they came; bytes where its name ends with
        `-bin`. Headers of HTTP and of gRPC itself have none.

        Args:
            name: in lower case.

        Raises:
            InvalidRequest: a value that should be base64 is none.
        """


class Nobody:
    """A caller without an address and without headers."""

    peer = ""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        """None."""
        return ()


NOBODY = Nobody()


@dataclass(eq=False, slots=True)
class CallContext:
    """Of one call, or of one message of a stream."""

    deadline: float | None = None
    """In the event loop's time; None where the caller waits for ever."""
    caller: Caller = NOBODY
    max_answer_bytes: int = sys.maxsize
    """Of one message."""
    hold: Hold = field(default_factory=Hold)
    """What the worker holds for this call, or for this message; given back when the answer has gone out."""
    counted_in: Requests | None = None
    """Of the version that it is about; None as long as none was found."""
    code: int = OK
    """Of an answer within a stream, which may tell of an error and be an answer all the same."""
    trailers: tuple[tuple[str, str], ...] = ()
    """Of a stream that has been answered: what goes behind its last message, names in lower case."""

    def is_due(self, took_s: float) -> bool:
        """Whether the caller's deadline has come, `took_s` after its call."""
        if self.deadline is None:
            return False
        left_s = self.deadline - asyncio.get_running_loop().time()
        return left_s <= ROUNDING_S + ROUNDING_SHARE * (took_s + left_s)

    def check_answer(self, size: int) -> None:
        """Asked of every message before it is sent.

        Args:
            size: its bytes.

        Raises:
            MessageTooLarge: they are more than are sent.
        """
        if size > self.max_answer_bytes:
            raise MessageTooLarge(
                f"the answer has {size:,} bytes, at most {self.max_answer_bytes:,} are sent; ask for less in a request"
            )

    def of_one(self, hold: Hold) -> "CallContext":
        """For one message of a stream: the same with a hold of its own, and nothing noted."""
        return CallContext(self.deadline, self.caller, self.max_answer_bytes, hold)
