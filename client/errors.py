"""The ways a call can fail, with messages for the user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from vouch.client.proxies import proxy_of
from vouch.client.unreachable import is_unreachable, unreachable

MAY_PASS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED)


class CallFailed(Exception):
    """A call got no answer, or an error as its answer."""

    def __init__(self, message: str, code: grpc.StatusCode, details: str = "", too_large: bool = False) -> None:
        """
        Args:
            details: the server's own message.
            too_large: whether the request was too large for this server.
        """
        super().__init__(message)
        self.code = code
        """The gRPC status code."""
        self.details = details or message
        """The server's own message, without the server's name."""
        self._too_large = too_large

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later, when a server has started or a model was published."""
        return self.code in MAY_PASS

    @property
    def is_of_the_request(self) -> bool:
        """Whether the request is at fault, so that the server would answer it with the same error again."""
        return self.code is grpc.StatusCode.INVALID_ARGUMENT or self._too_large


class UnusableCertificate(Exception):
    """A file for TLS cannot be read, or has the wrong content."""


class BenchFailed(Exception):
    """A measurement cannot run, or the server gave wrong answers."""


def call_failed(err: grpc.RpcError, server: str) -> CallFailed:
    """The error for the user, from one of gRPC's."""
    code: grpc.StatusCode = err.code()
    details: str = err.details() or ""
    said = details.lower()
    if is_unreachable(details, unavailable=code is grpc.StatusCode.UNAVAILABLE):
        return CallFailed(unreachable(server, details), code)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        proxy = proxy_of(server, os.environ)
        through = f"; {proxy}" if proxy else ""
        return CallFailed(f"{server} did not answer in time; --timeout-s sets a longer limit{through}", code)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and ("larger than max" in said or "the message has" in said):
        return CallFailed(
            f"the message is too large for {server}: {details}; send fewer or smaller images per call, or raise "
            "--max-message-bytes of `vouch serve`",
            code,
            too_large=True,
        )
    return CallFailed(f"{server} answered {code.name}: {details}", code, details)


@contextmanager
def explained(server: str) -> Iterator[None]:
    """Turns gRPC's errors inside the block into CallFailed."""
    try:
        yield
    except grpc.RpcError as err:
        raise call_failed(err, server) from err
