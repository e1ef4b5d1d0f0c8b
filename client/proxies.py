"""Whether gRPC's calls to a server go through a proxy that the environment names. Pure: the environment is handed in.

gRPC's core looks for it when a channel is made, by rules of its own, which these are (found by trying grpcio 1.85.1):
- the first that is set of grpc_proxy, https_proxy and http_proxy counts, also where it is empty: then there is none;
- no_grpc_proxy, where it is set, otherwise no_proxy, lists ends of host names and ranges of addresses that go direct;
- the names are in small letters only, all_proxy is not looked at, and this machine's own addresses are no exception.
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
    """What calls go through."""

    variable: str
    """Which variable of the environment says so."""
    url: str
    """Without a user and a password; empty where it cannot be said which part of the value is a password."""
    advice: str
    """How calls to the server go direct."""

    def __str__(self) -> str:
        value = f" to {self.url}" if self.url else ""
        return f"{self.variable} is set{value}: calls go through it; {self.advice}"


def proxy_of(server: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy between here and a server; None where calls go direct.

    Args:
        server: as it is given to gRPC: HOST:PORT, or with a resolver's name in front.
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
    """Without user and password; None where gRPC passes over the value because it is no http:// URL."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme != "http" or not host or value != value.lstrip():
        return None
    plain = "@" not in value.replace(parts.netloc, "", 1)  # else a password holds one of / ? #, and was cut there
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
