"""Where a server is, as people write it and as gRPC takes it."""

import re
from ipaddress import IPv6Address

DEFAULT_PORT = 8081
EXPECTED = "expected HOST or HOST:PORT, such as localhost, 10.0.0.7:8081 or [::1]:8081"
NAMING = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):")
"""How gRPC's own names begin; https://github.com/grpc/grpc/blob/master/doc/naming.md"""


def server_address(written: str) -> str:
    """The name to call: a host alone gets the port 8081, gRPC's own names (dns:///server:8081, unix:/run/vouch) stay.

    Raises:
        TypeError: it is no text.
        ValueError: it is no host, or is followed by something else than a port; says what was expected.
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
