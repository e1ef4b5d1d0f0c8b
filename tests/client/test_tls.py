import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from tests.support.certificates import Authority, Pair
from tests.support.serving import Serving, live
from vouch.client import AsyncClient, CallFailed, Client, Tls, UnusableCertificate
from vouch.client.bench.calls import Calls
from vouch.client.bench.images import Reference, take_reference
from vouch.client.commands import status
from vouch.client.models import ModelVersion
from vouch.client.settings import StatusSettings
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.limits import Listening
from vouch.server.transport.tls import TlsFiles


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture
async def secured(serving: Serving, pair: Pair) -> AsyncIterator[str]:
    """The address of a server that speaks TLS, with the fixture's model behind it."""
    listening = Listening(tls=TlsFiles(pair.certificate, pair.key), max_message_bytes=1_000_000)
    server = await start_grpcio(serving.methods, serving.gate, listening)
    yield f"127.0.0.1:{server.port}"
    await server.stop()


async def test_both_clients_speak_tls(secured: str, authority: Authority) -> None:
    """The synchronous one in a thread; another host's name is asked for in the certificate where it is given."""

    def synchronous() -> bool:
        with Client(secured, 10, Tls(authority.certificate, server_name="localhost")) as client:
            return client.ready()

    async with AsyncClient(secured, 10, Tls(authority.certificate)) as client:
        assert await client.ready()
    assert await asyncio.to_thread(synchronous)


async def test_a_bench_opens_its_connections_over_tls(secured: str, authority: Authority) -> None:
    """All of them, or the calls of a measurement would fail."""
    tls = Tls(authority.certificate)

    def reference_of() -> tuple[ModelVersion, Reference]:
        with Client(secured, 10, tls) as client:
            model = live(client.model())
            return model, take_reference(client, model, "")

    model, reference = await asyncio.to_thread(reference_of)
    async with Calls(secured, 10, model, reference, tls) as calls:
        await calls.of(2)(0)

        assert not calls.wrong


async def test_a_command_names_its_certificates_by_flags(
    secured: str, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 with the authority, and 1 with one line that says what is wrong without."""
    right = await asyncio.to_thread(status, ["--server", secured, "--tls-ca", str(authority.certificate)])
    shown = capsys.readouterr().out
    wrong = await asyncio.to_thread(status, ["--server", secured, "--tls", "--timeout-s", "10"])
    told = capsys.readouterr().err

    assert (right, wrong) == (0, 1)
    assert "is ready" in shown
    assert told == (
        f"error: no connection with {secured}: its certificate is not signed by a trusted CA: pass that CA as "
        "--tls-ca\n"
    )


async def test_tls_on_a_plaintext_port_is_told(serving: Serving, authority: Authority) -> None:
    """UNAVAILABLE, with what gRPC says and what may be wrong."""
    async with AsyncClient(serving.address, 10, Tls(authority.certificate)) as client:
        with pytest.raises(
            CallFailed, match="no connection with .*: the server there does not use TLS: leave out --tls"
        ) as failure:
            await client.ready()

    assert failure.value.code is grpc.StatusCode.UNAVAILABLE


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    """By the client: Vouch's own server would not start with it, another one does."""
    old = authority.issue("old", days=-1)
    server = grpc.aio.server()
    shown = grpc.ssl_server_credentials([(old.key.read_bytes(), old.certificate.read_bytes())])
    port = server.add_secure_port("127.0.0.1:0", shown)
    await server.start()
    async with AsyncClient(f"127.0.0.1:{port}", 10, Tls(authority.certificate)) as client:
        with pytest.raises(CallFailed, match="certificate has expired"):
            await client.ready()
    await server.stop(0)


@pytest.mark.parametrize("content", [None, b"not PEM"])
def test_a_file_that_is_no_authority_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Before any call is made."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UnusableCertificate, match=str(path)):
        Client("localhost:1", tls=Tls(ca=path))


def test_a_key_of_another_certificate_is_named(authority: Authority, pair: Pair) -> None:
    """Both files are."""
    other = authority.issue("other")

    with pytest.raises(UnusableCertificate, match=f"{pair.certificate} and {other.key} are not"):
        Client("localhost:1", tls=Tls(certificate=pair.certificate, key=other.key))
    with pytest.raises(ValueError, match="expected a certificate and its key together"):
        Tls(certificate=pair.certificate)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tls_key": "a"}, "--tls-key is given but --tls-certificate is missing"),
        ({"tls": True, "tls_certificate": "a"}, "--tls-certificate is given but --tls-key is missing"),
        ({"tls_certificate": "a", "tls_key": "b"}, "--tls-certificate needs --tls or --tls-ca"),
        ({"tls_server_name": "a"}, "--tls-server-name needs --tls or --tls-ca"),
    ],
)
def test_flags_that_would_be_passed_over_are_refused(given: dict[str, object], message: str) -> None:
    """Nobody thinks that a call was secured when it went in plaintext."""
    with pytest.raises(ValueError, match=message):
        StatusSettings.model_validate(given)
