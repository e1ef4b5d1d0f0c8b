"""How a port is listened on, and the limits that hold whatever the transport: chosen here, not by a library."""

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
"""(how calls are answered, what requests come in through) -> an ASGI application for HTTP without gRPC."""
MAX_CONCURRENT_STREAMS = 1024
"""Calls of one connection at once."""
MAX_CALLS = 16_384
"""Of a worker at once, those included that nobody has taken up yet: each takes 10 KB, whatever it asks for."""
MAX_HEADER_BYTES = 16 << 10
"""All headers of a call together, decoded."""
MAX_LINE_BYTES, MAX_HEADERS = 8 << 10, 100
"""Of HTTP/1.1: the line with the path, and how many headers."""
MIN_PING_INTERVAL_S = 10
"""Callers may ping as often as this to keep a quiet connection."""
HANDSHAKE_S = 5.0
"""For a new connection to say what gRPC's connections begin with, TLS's handshake included."""
IDLE_S = 300.0
"""How long a connection without a call stays; clients connect anew when they need one."""
STALL_S = 60.0
"""How long an answer may wait for a caller who does not read."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 60, 15, 4
"""TCP's: a connection whose other end is gone without a word is noticed after two minutes."""
CALL_GRACE_S = 86_400.0
"""How long calls go on whose connection has reached its age: longer than any deadline, so that age costs no call."""
OTHER_DESCRIPTORS = 128
"""Files that a worker opens beside its connections."""


@dataclass(frozen=True)
class Listening:
    """How a port is listened on."""

    host: str = "127.0.0.1"
    """A name or an address; an IPv6 one without brackets."""
    port: int = 0
    """0: a free one."""
    shared: bool = False
    """Other processes listen there too, and the kernel deals out the connections."""
    tls: TlsFiles | None = None
    """None: plaintext."""
    last_good: TlsContents | None = None
    """What the files held when they worked last; used where they cannot be now."""
    max_message_bytes: int = 64 << 20
    """Of one message, in either direction."""
    budget: Budget = UNBOUNDED
    """Of what callers make this process hold."""
    cores: int = 1
    """That this process may use."""
    max_connections: int = 4096
    """At once. What RLIMIT_NOFILE leaves may be less."""
    max_connection_age_s: float = 0.0
    """Callers who stay longer are told to connect again, so that load spreads; 0: they may stay for ever."""
    grace_s: float = 30.0
    """How long calls may still take whose caller has been told to connect again."""
    admit: Admit = everybody
    """Who may call."""
    http: MakeHttp | None = None
    """What answers HTTP without gRPC on the same port; None: nothing does."""

    @property
    def connections(self) -> int:
        """How many at once there can be: beyond the file descriptors of this process none could be taken."""
        return max(1, min(self.max_connections, descriptors_for_connections()))

    @property
    def connections_each(self) -> int:
        """The same for each of two generations: the calls of the old one may go on while the next one fills."""
        return max(1, min(self.max_connections, descriptors_for_connections() // 2))


def descriptors_for_connections() -> int:
    """How many of this process's file descriptors connections may take."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - OTHER_DESCRIPTORS
