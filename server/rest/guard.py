"""Which requests web pages in a browser may send to this server.

A malicious page can send requests to a server on the same machine. With a host name of its own that resolves to
127.0.0.1, it can read the responses too (DNS rebinding). So a server on a loopback address accepts only loopback's host
names, and no server accepts a POST from a page of another origin, unless a setting allows it.
"""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from vouch.server.errors import quoted
from vouch.server.rest.content import Content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.headers import BODY_ENCODING, HEADER_LENGTH, RETRY_AFTER, TIMEOUT
from vouch.server.rest.problem import Refused
from vouch.server.rest.route import READS

PREFLIGHT_S = 600
ALLOWED_HEADERS = ("content-type", *(header.name for header in (BODY_ENCODING, TIMEOUT, HEADER_LENGTH)))
"""That a page of another origin may send."""


class Guard:
    """Checks each request first."""

    def __init__(self, host: str, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        """
        Args:
            host: the host that the server listens on.
            hosts: further host names to accept on a loopback address.
            origins: origins whose pages may call it, as scheme://host:port; `*` for all.
        """
        self._loopback = is_loopback(host)
        self._hosts = frozenset(name.lower() for name in hosts)
        self._origins = frozenset(origins)

    def check(self, exchange: Exchange) -> Content | None:
        """Accepts a request; returns the response if it is a browser's preflight request.

        Raises:
            Refused: its host or its origin is not allowed.
        """
        if self._origins:
            exchange.headers_of_answer.append((b"vary", b"origin"))
        host = exchange.header(b"host").lower()
        if self._loopback and host and not is_loopback(name := _name_of(host)) and name not in self._hosts:
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server listens on a loopback address and does not accept the host name {quoted(name)}; "
                "--allow-host allows it",
            )
        origin = exchange.header(b"origin").lower()
        if not origin or origin.partition("://")[2] == host:
            return None
        if origin in self._origins or "*" in self._origins:
            return self._allow(exchange, origin)
        if exchange.verb not in READS:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"pages of {quoted(origin)} may not call this server; --allow-origin allows it",
            )
        return None

    def _allow(self, exchange: Exchange, origin: str) -> Content | None:
        exchange.headers_of_answer += [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b", ".join((HEADER_LENGTH.key, RETRY_AFTER.key))),
        ]
        if exchange.verb != "OPTIONS" or not exchange.header(b"access-control-request-method"):
            return None
        allowed = (
            ("access-control-allow-methods", "GET, HEAD, POST"),
            ("access-control-allow-headers", ", ".join(ALLOWED_HEADERS)),
            ("access-control-max-age", str(PREFLIGHT_S)),
        )
        return Content(b"", "text/plain", HTTPStatus.NO_CONTENT, allowed)


@lru_cache(maxsize=64)
def is_loopback(name: str) -> bool:
    """Whether a name or an address is loopback."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """The host without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
