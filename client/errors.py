"""How a call can fail, with messages meant for the user."""

import grpc

MAY_PASS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED)


class CallFailed(Exception):
    """A call was not answered, or was answered by an error."""

    def __init__(self, message: str, code: grpc.StatusCode) -> None:
        super().__init__(message)
        self.code = code
        """The gRPC status code."""

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed when a server has started, or a model has been published."""
        return self.code in MAY_PASS


class UnusableCertificate(Exception):
    """A file that TLS needs cannot be read, or is not what it should be."""


class BenchFailed(Exception):
    """A measurement cannot be made, or what it measured gave wrong answers."""


def call_failed(err: grpc.RpcError, server: str) -> CallFailed:
    """The error that a user is shown for one of gRPC's."""
    code: grpc.StatusCode = err.code()
    details: str = err.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and "connect" in details.lower():
        if "refused" in details.lower():
            return CallFailed(f"no server can be reached at {server}; is `vouch serve` running there?", code)
        return CallFailed(
            f"no connection with {server}: {details}; is `vouch serve` running there, and is it called as it speaks, "
            "over TLS (--tls, --tls-ca) or in plaintext?",
            code,
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CallFailed(f"{server} did not answer in time; --timeout-s allows it more", code)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return CallFailed(f"the message is too large for {server}: {details}; send fewer images at a time", code)
    return CallFailed(f"{server} answered {code.name}: {details}", code)
