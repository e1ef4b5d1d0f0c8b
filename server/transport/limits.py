"""How to listen on a port, and the limits of all transports: chosen here, not by a library."""

import resource
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vouch.server.budget import UNBOUNDED, Budget
from vouch.server.rpc.admit import Admit, everybody
from vouch.server.rpc.call import Calls
from vouch.server.transport.asgi_request import Receive, Scope, Send
from vouch.server.transport.intake import Intake
from vouch.server.transport.tls import TlsContents, TlsFiles

MakeHttp = Callable[[Calls, Intake], Callable[[Scope, Receive, Send], Awaitable[None]]]
"""(calls, intake) -> an ASGI application for HTTP without gRPC."""
MAX_CONCURRENT_STREAMS = 1024
"""Most concurrent calls of one connection."""
MAX_CALLS = 16_384
"""Most concurrent calls of a worker, including those that wait to be handled: each takes at least 10 KB."""
MAX_HEADER_BYTES = 16 << 10
"""All headers of a call together, decoded, in bytes."""
MAX_LINE_BYTES, MAX_HEADERS = 8 << 10, 100
"""For HTTP/1.1: bytes of the request line, and the number of headers."""
MIN_PING_INTERVAL_S = 10
"""Shortest interval at which callers may ping on a quiet connection."""
HANDSHAKE_S = 5.0
"""Limit for a new connection to send HTTP/2's preface, including the TLS handshake."""
IDLE_S = 300.0
"""How long a connection without a call stays open; clients reconnect when they need it."""
STALL_S = 60.0
"""How long an answer may wait for a caller who does not read."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 60, 15, 4
"""TCP keepalive: a lost connection is noticed after two minutes."""
CALL_GRACE_S = 86_400.0
"""How long calls may go on after their connection has reached its age: so long that age ends no call."""
OTHER_DESCRIPTORS = 128
"""File descriptors of a worker in addition to its connections."""


@dataclass(frozen=True)
class Listening:
    """How to listen on a port."""

    host: str = "127.0.0.1"
    """A name or an address; an IPv6 one without brackets."""
    port: int = 0
    """0: a free one."""
    shared: bool = False
    """Whether other processes listen there too; the kernel distributes the connections."""
    tls: TlsFiles | None = None
    """None: plaintext."""
    last_good: TlsContents | None = None
    """The last good contents, used if the files cannot be used now."""
    max_message_bytes: int = 64 << 20
    """Limit of one message, in either direction."""
    budget: Budget = UNBOUNDED
    """Budget of the memory for callers."""
    cores: int = 1
    """Number of cores that this process may use."""
    max_connections: int = 4096
    """Most connections at a time. RLIMIT_NOFILE may allow fewer."""
    max_connection_age_s: float = 0.0
    """Callers who stay longer must reconnect, so that load spreads; 0: no limit."""
    grace_s: float = 30.0
    """How long calls may go on after their caller was told to reconnect."""
    admit: Admit = everybody
    """Who may call."""
    http: MakeHttp | None = None
    """Makes the application for HTTP without gRPC on the same port; None: there is none."""

    @property
    def connections(self) -> int:
        """Most connections at a time, limited by the file descriptors of this process."""
        return max(1, min(self.max_connections, descriptors_for_connections()))

    @property
    def connections_each(self) -> int:
        """The same for each of two generations: the old one may keep its calls while the next one fills."""
        return max(1, min(self.max_connections, descriptors_for_connections() // 2))


def descriptors_for_connections() -> int:
    """How many of this process's file descriptors are left for connections."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - OTHER_DESCRIPTORS
