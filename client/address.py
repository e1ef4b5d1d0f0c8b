"""A server's address: from what a user writes to what gRPC takes."""

import re
from ipaddress import IPv6Address

DEFAULT_PORT = 8081
EXPECTED = "expected HOST or HOST:PORT, such as localhost, 10.0.0.7:8081 or [::1]:8081"
NAMING = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):")
"""How gRPC's own names begin; https://github.com/grpc/grpc/blob/master/doc/naming.md"""


def server_address(written: str) -> str:
    """The target for gRPC: a host without a port gets port 8081; gRPC's own names (dns:///server:8081) do not change.

    Raises:
        TypeError: it is not a string.
        ValueError: it is not a host, or not a port follows the host; the message states what was expected.
    """
    if not isinstance(written, str):
        raise TypeError(f"{EXPECTED}; got {type(written).__name__}")
    written = written.strip()
    if NAMING.match(written):
        return written
    if url := re.fullmatch(r"\w+://([^/]+)/?.*", written):
        raise ValueError(f"{EXPECTED}, not a URL; did you mean {url[1]}?")
    if re.fullmatch(r"[0-9]+", written):
        raise ValueError(f"{EXPECTED}; did you mean localhost:{written}?")
    if _is_ipv6(written):
        written = f"[{written}]"
    parts = re.fullmatch(r"(\[.+\]|[^\s:/\[\]]+)(?::([0-9]+))?", written)
    if not parts or (parts[1].startswith("[") and not _is_ipv6(parts[1][1:-1])):
        raise ValueError(EXPECTED)
    port = parts[2] or str(DEFAULT_PORT)
    if not 1 <= int(port[:6]) <= 65_535:
        raise ValueError(f"{EXPECTED}; a port is a number from 1 to 65535")
    return f"{parts[1]}:{port}"


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
