"""`vouch serve --host`: a way to write an address means the same to all that listen, and what is printed is called."""

import re
import socket
import urllib.request
from pathlib import Path
from typing import get_args

import pytest

from tests.support.programs import OURS, VOUCH, run_beside, serving_beside, until
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.client.commands import health
from vouch.server.settings import Transport


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6: ::1 cannot be bound")


@pytest.mark.parametrize(
    ("host", "printed", "transport"),
    [
        pytest.param("::1", "[::1]", "grpcio", marks=ipv6),
        pytest.param("::1", "[::1]", "h2corn", marks=ipv6),
        pytest.param("[::1]", "[::1]", "h2corn", marks=ipv6),
        pytest.param("::", "[::]", "h2corn", marks=ipv6),
        pytest.param("[::]", "[::]", "grpcio", marks=ipv6),
        ("localhost", "localhost", "h2corn"),
        ("0.0.0.0", "0.0.0.0", "grpcio"),
    ],
)
def test_what_a_server_prints_is_called_as_it_is(tmp_path: Path, host: str, printed: str, transport: str) -> None:
    """By the client, by `vouch health`, by Prometheus and over HTTP, which grpcio says that it has not. Whatever the
    transport, and however the host is written.

    Hosts are read in one place for both transports, so each is tried over one of them, and the first over both.
    """
    publish_tiny(ModelsFolder(tmp_path))
    with serving_beside(tmp_path, "--transport", transport, "--host", host) as (place, server):
        assert place["address"].rpartition(":")[0] == place["metrics"].rpartition(":")[0] == printed
        with Client(place["address"]) as client:
            until(client.ready)
        assert health(["--server", place["address"]]) == 0
        with urllib.request.urlopen(f"http://{place['metrics']}/metrics", timeout=30) as metrics:
            assert b"vouch_" in metrics.read()
        server.err.until(re.escape(f"listening on {place['address']}, "))
        assert place["page"] == ("" if transport == "grpcio" else f"http://{place['address']}")
        if transport == "grpcio":
            assert "transport grpcio has no HTTP" in server.err.text
        else:
            with urllib.request.urlopen(f"http://{place['address']}/v2/health/ready", timeout=30) as ready:
                assert ready.read() == b'{"ready":true}'


@pytest.mark.parametrize("transport", get_args(Transport))
def test_an_address_that_cannot_be_had_is_named_as_callers_write_it(tmp_path: Path, transport: str) -> None:
    """With the reason, whatever the transport; nothing is served elsewhere."""
    with run_beside(
        *VOUCH, "serve", str(tmp_path), "--host", "2001:db8::1", "--transport", transport, env=OURS
    ) as server:
        assert server.ended() == 1
        assert "cannot listen on [2001:db8::1]:8081: this machine does not have this address" in server.err.text
