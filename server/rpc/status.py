"""The one table from errors to gRPC status codes."""

import logging
import traceback
from dataclasses import dataclass
from enum import IntEnum

from vouch.bundle.errors import InvalidImage
from vouch.server.errors import (
    BundleGone,
    Closed,
    CountsUnknown,
    DeadlineExpired,
    InvalidRequest,
    LoadNotAllowed,
    MessageTooLarge,
    ModelFailed,
    NotReady,
    Overloaded,
    UnknownModel,
    Unsupported,
    UnsupportedMedia,
    UnusableAnswer,
)
from vouch.server.logs import event
from vouch.server.repeats import Repeats

log = logging.getLogger("vouch.server")

REPEATS = Repeats()


class Code(IntEnum):
    """The gRPC status codes in use."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


CODES: dict[type[Exception], Code] = {
    InvalidRequest: Code.INVALID_ARGUMENT,
    InvalidImage: Code.INVALID_ARGUMENT,
    UnknownModel: Code.NOT_FOUND,
    NotReady: Code.UNAVAILABLE,
    Closed: Code.UNAVAILABLE,
    CountsUnknown: Code.UNAVAILABLE,
    LoadNotAllowed: Code.UNAVAILABLE,  # as Triton does when it polls its repository
    Unsupported: Code.UNIMPLEMENTED,
    UnsupportedMedia: Code.INVALID_ARGUMENT,
    Overloaded: Code.RESOURCE_EXHAUSTED,
    DeadlineExpired: Code.DEADLINE_EXCEEDED,
    BundleGone: Code.FAILED_PRECONDITION,
    MessageTooLarge: Code.RESOURCE_EXHAUSTED,
    UnusableAnswer: Code.INTERNAL,
}
"""Errors whose message is meant for the caller. Everything else is our fault, and the caller gets only an id."""

MAX_MESSAGE_BYTES = 1000
"""A message is sent in a header, where a byte may take three, and may quote the caller. gRPC's clients refuse responses
with more than 8 KiB of headers, and proxies refuse more than 4 KiB.
"""


@dataclass(frozen=True)
class Status:
    """How a call failed, for its caller."""

    code: Code
    message: str
    error: type[Exception] = Exception
    """The raised type, for protocols with finer codes than gRPC's."""


def status_of(err: Exception, path: str) -> Status:
    """The status for an error. One that is our fault is logged under an id, and the caller gets only the id.

    Repeated errors of one kind are logged at most once in some seconds, and share the id.

    Args:
        path: the method, for the log.
    """
    code = CODES.get(type(err))
    if code is not None:
        return Status(code, _shortened(str(err)), type(err))
    noted = REPEATS.note((path, *_origin(err)))
    if noted.written:
        log.error(
            "%s failed, error %s%s",
            *(path, noted.error_id, noted.left_out_in_words),
            exc_info=err,
            extra=event("call_failed", method=path, error_id=noted.error_id),
        )
    what = "the model failed" if isinstance(err, ModelFailed) else "the server failed"
    return Status(Code.INTERNAL, f"{what}; the reason is in the server's log, under error {noted.error_id}")


def _origin(err: BaseException) -> tuple[type[BaseException], str, int]:
    """The first raised error's type, file and line."""
    while err.__cause__ is not None:
        err = err.__cause__
    frames = traceback.extract_tb(err.__traceback__, limit=-1)
    return type(err), frames[0].filename if frames else "", (frames[0].lineno or 0) if frames else 0


def _shortened(message: str) -> str:
    encoded = message[: MAX_MESSAGE_BYTES + 1].encode(errors="backslashreplace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode()
    return encoded[:MAX_MESSAGE_BYTES].decode(errors="ignore") + "..."
