"""The proxy's configuration, in a real HAProxy before a real server."""

import shutil
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.proxy import FOLDER, configuration, haproxy
from benchmarks.serving.contenders import free_port
from tests.support.certificates import Authority
from tests.support.programs import WITHIN_S, serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.client import CallFailed, Client, Tls

CONNECTIONS, CALLS = 20, 2000
"""The limits of haproxy-public.cfg on an address: at once, and in 10 s."""
STRANGER, OTHER = "127.0.0.2", "127.0.0.3"
"""Linux takes all of 127.0.0.0/8 for this machine."""
needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="there is no haproxy here: make haproxy installs Debian's"
)
pytestmark = needs_haproxy


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """With its key beside it, as HAProxy looks for it; and the authority's, `ca.pem`."""
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("proxy")
    pair.key.rename(pair.certificate.with_suffix(".pem.key"))
    return pair.certificate


@contextmanager
def proxied(tmp_path: Path, certificate: Path, *words: str) -> Iterator[tuple[str, Client]]:
    """Where haproxy-public.cfg listens before `vouch serve`, and a client that calls it from OTHER."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    with serving_beside(tmp_path / "models", *words) as (place, _):
        ports = [int(place[name].rpartition(":")[2]) for name in ("address", "metrics")]
        address, way = (f"127.0.0.1:{free_port()}" for _ in range(2))
        text = configuration("haproxy-public.cfg", int(address.rpartition(":")[2]), [(ports[0], ports[1])])
        text = text.replace("/tls/server.pem", str(certificate))
        text += f"\nlisten other\n    mode tcp\n    bind {way}\n    server proxy {address} source {OTHER}\n"
        with haproxy(text, tmp_path), Client(way, tls=trusted(certificate)) as other:
            until(lambda: is_answered(other))
            yield address, other


def trusted(certificate: Path) -> Tls:
    return Tls(ca=certificate.parents[1] / "ca.pem", server_name="localhost")


def is_answered(client: Client) -> bool:
    try:
        return client.ready()
    except CallFailed:
        return False


@pytest.mark.parametrize("name", sorted(file.name for file in FOLDER.iterdir()))
def test_haproxy_takes_each_file_without_a_warning(name: str, tmp_path: Path, certificate: Path) -> None:
    """As it is, for Docker."""
    file = tmp_path / name
    file.write_text((FOLDER / name).read_text().replace("/tls/server.pem", str(certificate)))
    command = ["haproxy", "-c", "-dW", "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("transport", ["h2corn", "grpcio"])
def test_an_address_that_calls_too_often_is_refused_and_another_is_answered(
    tmp_path: Path, certificate: Path, transport: str
) -> None:
    """RESOURCE_EXHAUSTED, which clients do not send again; plaintext is not answered at all."""
    images, _ = tiny_images(1)
    with (
        proxied(tmp_path, certificate, "--transport", transport) as (address, other),
        Client(address, tls=trusted(certificate)) as stranger,
        Client(address) as plaintext,
        ThreadPoolExecutor(8) as threads,
    ):

        def called(_: int) -> str:
            try:
                stranger.predict(images)
            except CallFailed as err:
                return f"{err.code.name} {err.details}"
            return "OK"

        stranger.predict(images)  # which asks for the model's input shape too
        ended = Counter(threads.map(called, range(CALLS + 500)))
        assert other.predict(images)
        assert not is_answered(plaintext)

    assert set(ended) == {"OK", "RESOURCE_EXHAUSTED too many calls from this address"}
    assert ended["OK"] <= CALLS


# Python forgets to close the socket of a connection that was reset before TLS began.
@pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_an_address_has_so_many_connections_and_others_have_theirs(tmp_path: Path, certificate: Path) -> None:
    """Those over the limit are closed at once, silent ones after some seconds; then there is room again."""
    trust = ssl.create_default_context(cafile=str(trusted(certificate).ca))
    trust.set_alpn_protocols(["h2"])
    with proxied(tmp_path, certificate) as (address, other), ExitStack() as stack:
        host, port = address.split(":")

        def connected() -> ssl.SSLSocket | None:
            try:
                plain = socket.create_connection((host, int(port)), timeout=10, source_address=(STRANGER, 0))
                return stack.enter_context(trust.wrap_socket(plain, server_hostname="localhost"))
            except OSError:
                return None

        opened = [one for _ in range(CONNECTIONS + 10) if (one := connected())]
        assert len(opened) == CONNECTIONS
        assert is_answered(other)
        opened[0].settimeout(30)
        with suppress(OSError):
            while opened[0].recv(4096):
                pass
        until(connected)
