"""Whether gRPC's calls to a server go through a proxy set in the environment. Pure: the environment is an argument.

gRPC's core reads the environment when a channel is made, by these rules (found by experiments with grpcio 1.85.1):
- the first variable that is set of grpc_proxy, https_proxy and http_proxy counts; if it is empty, there is no proxy;
- no_grpc_proxy, or if unset no_proxy, lists suffixes of host names and ranges of addresses that are called directly;
- only names in lower case count; all_proxy is ignored; local addresses are no exception.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
EXCEPTIONS = ("no_grpc_proxy", "no_proxy")
RESOLVERS = ("dns", "ipv4", "ipv6")
LOCAL = ("unix", "unix-abstract", "vsock")


@dataclass(frozen=True)
class Proxy:
    """The proxy that calls go through."""

    variable: str
    """The environment variable that sets it."""
    url: str
    """Without user and password; empty if it is unclear which part of the value is a password."""
    advice: str
    """How to make calls to the server direct."""

    def __str__(self) -> str:
        value = f" to {self.url}" if self.url else ""
        return f"{self.variable} is set{value}: calls go through it; {self.advice}"


def proxy_of(server: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy for calls to a server; None if they are direct.

    Args:
        server: the target for gRPC: HOST:PORT, perhaps with a resolver's scheme in front.
    """
    variable = next((name for name in VARIABLES if name in environment), None)
    if variable is None or server.startswith(tuple(f"{scheme}:" for scheme in LOCAL)):
        return None
    url = _http_url(environment[variable])
    if url is None:
        return None
    host = _host(server)
    exceptions = next((name for name in EXCEPTIONS if name in environment), None)
    if exceptions is None:
        return Proxy(variable, url, f"set no_proxy={host} or unset it")
    if any(_goes_direct(host, entry.strip()) for entry in environment[exceptions].split(",")):
        return None
    return Proxy(variable, url, f"add {host} to {exceptions} or unset it")


def _http_url(value: str) -> str | None:
    """The value without user and password; None if gRPC ignores it because it is not an http:// URL."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme != "http" or not host or value != value.lstrip():
        return None
    plain = "@" not in value.replace(parts.netloc, "", 1)  # else a password contains / ? or #, and was cut there
    return f"http://{host}" if plain else ""


def _host(server: str) -> str:
    """`dns:///host:8081` -> `host`, `[::1]:8081` -> `::1`."""
    scheme, colon, rest = server.partition(":")
    if colon and scheme in RESOLVERS:
        server = rest.rpartition("/")[2]
    if server.startswith("["):
        return server[1:].partition("]")[0]
    return server.partition(":")[0] if server.count(":") == 1 else server


def _goes_direct(host: str, entry: str) -> bool:
    if not entry:
        return False
    if host.lower().endswith(entry.lower()):
        return True
    try:
        return "/" in entry and ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        return False
