"""What is said where no server of ours answers: a sentence, and nothing of gRPC's or OpenSSL's insides."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import grpc
import pytest

from tests.support.certificates import Authority
from vouch.client import CallFailed, Client, Tls
from vouch.client.errors import call_failed
from vouch.client.unreachable import is_unreachable, unreachable


class Said(grpc.RpcError):
    """What gRPC says of a call."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls go direct, whatever the environment says."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def web() -> Iterator[str]:
    """The address of an HTTP/1 server."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def told(server: str, tls: Tls | None = None) -> str:
    """What a call that reaches nobody says."""
    with Client(server, 10, tls) as client, pytest.raises(CallFailed) as failure:
        client.ready()
    return str(failure.value)


def test_another_kind_of_server_is_told(web: str) -> None:
    """As the port of the metrics is."""
    meaning = "the server there only speaks HTTP/1, as /metrics does: is this the right port?"
    assert told(web) == f"no connection with {web}: {meaning}"


def test_a_socket_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is a path, so it is what may be wrong."""
    assert told(f"unix:{tmp_path}/vouch") == f"no connection with unix:{tmp_path}/vouch: the socket does not exist"


def test_a_certificate_of_another_host_is_told(tmp_path: Path) -> None:
    """Its authority is trusted, and its name is not the one that was called."""
    authority = Authority(tmp_path, "ours")
    other = authority.issue("other", extended="subjectAltName = DNS:other.example\n")
    shown = grpc.ssl_server_credentials([(other.key.read_bytes(), other.certificate.read_bytes())])
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", shown)
    server.start()
    try:
        message = told(f"127.0.0.1:{port}", Tls(authority.certificate))
    finally:
        server.stop(0).wait(10)

    assert message == f"no connection with 127.0.0.1:{port}: its certificate is for another host name"


@pytest.mark.parametrize(
    ("details", "meaning"),
    [
        ("errors resolving x:1: [field:hostname lookup error:... Domain name not found]", "host name does not exist"),
        ("DNS resolution failed for x:1: C-ares status is not ARES_SUCCESS", "could not be resolved"),
        ("... Custom verification check failed ...: Hostname Verification Check failed.", "for another host name"),
        ("connections to all backends failing; last error: UNAVAILABLE: ipv4:1.2.3.4:1: Socket closed", "uses TLS"),
        ("failed to connect to all addresses; last error: UNKNOWN: Tls handshake failed ...", "uses TLS"),
        ("failed to connect to all addresses; last error: ... No route to host", "a network that cannot be reached"),
        (
            "failed to connect to all addresses; last error: FD Shutdown: connection attempt timed out",
            "there is no response",
        ),
        ("Received http2 header with status: 502", "what answers there is not a gRPC server"),
        ("stream removed by something new", "stream removed by something new; is `vouch serve` running there?"),
    ],
)
def test_grpcs_words_have_a_meaning(details: str, meaning: str) -> None:
    """What is not known is shown as it is."""
    assert meaning in unreachable("x:1", details)
    assert (details in unreachable("x:1", details)) is details.startswith("stream removed")


def test_a_gateway_that_knows_no_grpc_is_no_server_of_ours() -> None:
    """Whatever code gRPC makes of its status."""
    failed = call_failed(Said(grpc.StatusCode.UNIMPLEMENTED, "Received http2 header with status: 404"), "x:1")

    meaning = "what answers there is not a gRPC server, or is a gateway without a route to one"
    assert str(failed) == f"no connection with x:1: {meaning}"
    assert failed.code is grpc.StatusCode.UNIMPLEMENTED


def test_a_servers_own_words_are_not_taken_for_a_lost_connection() -> None:
    """A refused version whose files are missing is the server's answer."""
    details = "digits version 2 is refused: model.onnx cannot be read: No such file or directory"

    assert not is_unreachable(details, unavailable=True)
    assert not is_unreachable("the connection was reset by a socket closed", unavailable=False)
