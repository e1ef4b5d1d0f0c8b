"""How a port is listened on, and the limits that hold whatever the transport: chosen here, not by a library."""

import resource
from dataclasses import dataclass

from vouch.server.budget import UNBOUNDED, Budget
from vouch.server.transport.tls import TlsFiles

MAX_CONCURRENT_STREAMS = 1024
"""Calls of one connection at once."""
MAX_CALLS = 16_384
"""Of a worker at once, those included that nobody has taken up yet: each takes 10 KB, whatever it asks for."""
MAX_HEADER_BYTES = 16 << 10
"""All headers of a call together, decoded."""
MIN_PING_INTERVAL_S = 10
"""Callers may ping as often as this to keep a quiet connection."""
HANDSHAKE_S = 5.0
"""For a new connection to say what gRPC's connections begin with, TLS's handshake included."""
IDLE_S = 300.0
"""How long a connection without a call stays; clients connect anew when they need one."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 60, 15, 4
"""TCP's: a connection whose other end is gone without a word is noticed after two minutes."""
OTHER_DESCRIPTORS = 128
"""Files that a worker opens beside its connections."""


@dataclass(frozen=True)
class Listening:
    """How a port is listened on."""

    host: str = "127.0.0.1"
    """A name or an address; an IPv6 one in brackets or not."""
    port: int = 0
    """0: a free one."""
    shared: bool = False
    """Other processes listen there too, and the kernel deals out the connections."""
    tls: TlsFiles | None = None
    """None: plaintext."""
    max_message_bytes: int = 64 << 20
    """Of one message, in either direction."""
    budget: Budget = UNBOUNDED
    """Of what callers make this process hold."""
    cores: int = 1
    """That this process may use."""
    max_connections: int = 4096
    """At once. What RLIMIT_NOFILE leaves may be less."""
    grace_s: float = 30.0
    """How long the calls of a listener that is replaced may still take."""

    @property
    def connections(self) -> int:
        """How many at once there can be: beyond the file descriptors of this process none could be taken."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        left = self.max_connections if limit == resource.RLIM_INFINITY else limit - OTHER_DESCRIPTORS
        return max(1, min(self.max_connections, left))
