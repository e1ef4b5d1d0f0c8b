"""Why no server could be reached: a plain sentence for each message of gRPC's core and OpenSSL."""

import os

from vouch.client.proxies import proxy_of

ON_THE_WAY = (
    *("connections to all backends", "failed to connect to", "handshake failed", "network is unreachable"),
    *("errors resolving", "resolution failed", "connection refused", "connection reset"),
    *("timed out", "socket closed", "broken pipe", "endpoint closing", "stream removed", "goaway", "ping timeout"),
    "keepalive watchdog",
)
"""Parts of gRPC's messages, in lower case, when no answer of a server arrived."""
NO_GRPC = "received http2 header with status"
"""Part of gRPC's message for an answer without gRPC; the code depends on the HTTP status."""
MEANINGS = (
    (
        ("http1.x server", "expected settings frame"),
        "the server there only speaks HTTP/1, as /metrics does: is this the right port?",
    ),
    ((NO_GRPC,), "what answers there is not a gRPC server, or is a gateway without a route to one"),
    (("no such file or directory",), "the socket does not exist"),
    (("permission denied",), "this user may not write to that socket"),
    (("wrong_version_number",), "the server there does not use TLS: leave out --tls and --tls-ca"),
    (("certificate has expired",), "its certificate has expired"),
    (("certificate is not yet valid",), "its certificate is not valid yet: is the clock right?"),
    (("hostname verification", "is not in peer certificate"), "its certificate is for another host name"),
    (("certificate_verify_failed",), "its certificate is not signed by a trusted CA: pass that CA as --tls-ca"),
    (("domain name not found", "name or service not known"), "the host name does not exist"),
    (("errors resolving", "resolution failed"), "the host name could not be resolved"),
    (("network is unreachable", "no route to host"), "the host is on a network that cannot be reached"),
    (("timed out", "ping timeout", "keepalive watchdog"), "there is no response"),
    (
        ("socket closed", "connection reset", "broken pipe", "endpoint closing", "handshake failed", "handshake read"),
        "the server closed the connection: pass --tls or --tls-ca only if it uses TLS, and --tls-certificate and "
        "--tls-key if it requires a client certificate",
    ),
)
"""Parts of gRPC's messages with their meaning; the first match counts."""


def is_unreachable(details: str, *, unavailable: bool) -> bool:
    """Whether this is gRPC's own message for no answer from a server.

    Args:
        unavailable: whether the call's code is UNAVAILABLE, as for all such messages but one.
    """
    said = details.lower()
    return said.startswith(NO_GRPC) or (unavailable and any(one in said for one in ON_THE_WAY))


def unreachable(server: str, details: str) -> str:
    """The message for a call that reached no server.

    It never contains a proxy's user and password: gRPC's message contains them only if it cannot read the URL, and is
    left out then.
    """
    proxy = proxy_of(server, os.environ)
    refused = "refused" in details.lower()
    if proxy is not None:
        reason = f" ({details})" if proxy.url and not refused else ""
        return f"no server can be reached at {server}{reason}; {proxy}"
    if refused:
        return f"no server can be reached at {server}; is `vouch serve` running there?"
    return f"no connection with {server}: {_meaning(details) or f'{details}; is `vouch serve` running there?'}"


def _meaning(details: str) -> str | None:
    said = details.lower()
    return next((meaning for words, meaning in MEANINGS if any(word in said for word in words)), None)
