"""How a call can fail, with messages meant for the user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from vouch.client.proxies import proxy_of
from vouch.client.unreachable import is_unreachable, unreachable

MAY_PASS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED)


class CallFailed(Exception):
    """A call was not answered, or was answered by an error."""

    def __init__(self, message: str, code: grpc.StatusCode, details: str = "", too_large: bool = False) -> None:
        """
        Args:
            details: the server's own words.
            too_large: whether the message was, for this server.
        """
        super().__init__(message)
        self.code = code
        """The gRPC status code."""
        self.details = details or message
        """The server's own words, without who said them."""
        self._too_large = too_large

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed when a server has started, or a model has been published."""
        return self.code in MAY_PASS

    @property
    def is_of_the_request(self) -> bool:
        """Whether what was sent is at fault, so that the server answers the same to it whenever it is asked."""
        return self.code is grpc.StatusCode.INVALID_ARGUMENT or self._too_large


class UnusableCertificate(Exception):
    """A file that TLS needs cannot be read, or is not what it should be."""


class BenchFailed(Exception):
    """A measurement cannot be made, or what it measured gave wrong answers."""


def call_failed(err: grpc.RpcError, server: str) -> CallFailed:
    """The error that a user is shown for one of gRPC's."""
    code: grpc.StatusCode = err.code()
    details: str = err.details() or ""
    said = details.lower()
    if is_unreachable(details, unavailable=code is grpc.StatusCode.UNAVAILABLE):
        return CallFailed(unreachable(server, details), code)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        proxy = proxy_of(server, os.environ)
        through = f"; {proxy}" if proxy else ""
        return CallFailed(f"{server} did not answer in time; --timeout-s allows it more{through}", code)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and ("larger than max" in said or "the message has" in said):
        return CallFailed(
            f"the message is too large for {server}: {details}; send fewer images at a time, or smaller ones, or raise "
            "--max-message-bytes of `vouch serve`",
            code,
            too_large=True,
        )
    return CallFailed(f"{server} answered {code.name}: {details}", code, details)


@contextmanager
def explained(server: str) -> Iterator[None]:
    """Turns gRPC's errors into CallFailed."""
    try:
        yield
    except grpc.RpcError as err:
        raise call_failed(err, server) from err
