"""Why no server could be reached, in a sentence for what gRPC's core and OpenSSL say of it."""

import os

from vouch.client.proxies import proxy_of

ON_THE_WAY = (
    *("connections to all backends", "failed to connect to", "handshake failed", "network is unreachable"),
    *("errors resolving", "resolution failed", "connection refused", "connection reset"),
    *("timed out", "socket closed", "broken pipe", "endpoint closing", "stream removed", "goaway", "ping timeout"),
    "keepalive watchdog",
)
"""How gRPC's own reasons read, in small letters, when no answer of a server arrived."""
NO_GRPC = "received http2 header with status"
"""The same of an answer without gRPC; its code depends on the status."""
MEANINGS = (
    (("http1.x server", "expected settings frame"), "HTTP/1 is spoken there, as for /metrics: is it another port?"),
    ((NO_GRPC,), "what answers there is no gRPC server, or a gateway that knows none"),
    (("no such file or directory",), "there is no such socket"),
    (("permission denied",), "this user may not write to that socket"),
    (("wrong_version_number",), "TLS is not spoken there: leave out --tls and --tls-ca"),
    (("certificate has expired",), "its certificate has expired"),
    (("certificate is not yet valid",), "its certificate is not valid yet; is the clock right?"),
    (("hostname verification", "is not in peer certificate"), "its certificate is for another host name"),
    (("certificate_verify_failed",), "nobody who is trusted here signed its certificate: pass --tls-ca with who did"),
    (("domain name not found", "name or service not known"), "no host of this name is known"),
    (("errors resolving", "resolution failed"), "the host's name could not be looked up"),
    (("network is unreachable", "no route to host"), "no network leads there"),
    (("timed out", "ping timeout", "keepalive watchdog"), "nothing answers there"),
    (
        ("socket closed", "connection reset", "broken pipe", "endpoint closing", "handshake failed", "handshake read"),
        "the connection was closed there: does the server speak TLS (--tls, --tls-ca), and want a certificate of "
        "yours (--tls-certificate, --tls-key)?",
    ),
)
"""What is looked for in gRPC's own words, the first that is found, and what it means."""


def is_unreachable(details: str, *, unavailable: bool) -> bool:
    """Whether these words are gRPC's own reason why no answer of a server arrived.

    Args:
        unavailable: whether that is the call's code, as it is of all reasons but one.
    """
    said = details.lower()
    return said.startswith(NO_GRPC) or (unavailable and any(one in said for one in ON_THE_WAY))


def unreachable(server: str, details: str) -> str:
    """The message of a call that reached no server.

    No proxy's user and password are in it: gRPC's own words hold them only where the URL is one that it cannot read,
    and then they are left out.
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
