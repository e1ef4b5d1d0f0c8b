"""TLS on each transport, through whole servers: what is answered, what is refused, and certificates that change."""

import asyncio
import socket
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.certificates import Authority, Pair
from tests.support.tiny import LABELS, publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.client import AsyncClient, CallFailed, Tls
from vouch.server.errors import StartFailed
from vouch.server.settings import ServeSettings, Transport
from vouch.server.supervisor.supervisor import Supervisor


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture(params=["together"])
def pair(request: pytest.FixtureRequest, ours: Authority, tmp_path: Path) -> Pair:
    """The server's, which a test may replace; the key in the certificate's folder or `apart`."""
    issued = ours.issue(tmp_path.name)
    keys = tmp_path / ("private" if request.param == "apart" else "tls")
    for folder in {tmp_path / "tls", keys}:
        folder.mkdir()
    mine = Pair(tmp_path / "tls" / "server.pem", keys / "server.key")
    mine.replace(issued)
    return mine


def settings_of(models: Path, pair: Pair, **fields: Any) -> ServeSettings:
    given = {"port": 0, "metrics_port": 0, "scan_interval_s": 0.05, "grace_s": 5, "threads": 1} | fields
    return ServeSettings(models=models, tls_certificate=pair.certificate, tls_key=pair.key, **given)


@asynccontextmanager
async def serving(models: Path, pair: Pair, **fields: Any) -> AsyncIterator[str]:
    """The address of a server that speaks TLS."""
    publish_tiny(ModelsFolder(models))
    supervisor = Supervisor(settings_of(models, pair, **fields))
    await supervisor.start()
    try:
        yield f"127.0.0.1:{supervisor.port}"
    finally:
        await supervisor.stop()


async def until_served(client: AsyncClient) -> None:
    async with asyncio.timeout(30):
        while not await client.ready():
            await asyncio.sleep(0.02)


async def refused(address: str, tls: Tls | None) -> CallFailed:
    """How a call fails that never becomes one."""
    async with AsyncClient(address, 10, tls) as client:
        with pytest.raises(CallFailed) as failure:
            await client.ready()
    return failure.value


def shown(address: str, ours: Authority) -> bytes:
    """The certificate that a new connection sees (DER), and that ALPN gives HTTP/2 on TLS 1.2 or later."""
    context = ssl.create_default_context(cafile=ours.certificate)
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        assert secured.version() in ("TLSv1.2", "TLSv1.3")
        certificate = secured.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


async def test_calls_are_answered_over_tls_and_strangers_refused(
    tmp_path: Path, transport: Transport, pair: Pair, ours: Authority, theirs: Authority
) -> None:
    """Whoever trusts the authority is answered; plaintext, another authority and a wrong name fail and harm nobody."""
    images, labels = tiny_images(3)
    trusted = Tls(ca=ours.certificate)
    async with serving(tmp_path / "models", pair, transport=transport) as address:
        async with AsyncClient(address, 10, trusted) as client:
            await until_served(client)
            answers = await client.predict(images)
            plaintext = await refused(address, None)
            distrust = await refused(address, Tls(ca=theirs.certificate))
            misnamed = await refused(address, Tls(ca=ours.certificate, server_name="elsewhere.example"))

            assert [answer.label for answer in answers] == [LABELS[label] for label in labels]
            assert {one.code for one in (plaintext, distrust, misnamed)} == {grpc.StatusCode.UNAVAILABLE}
            assert "--tls" in str(plaintext)
            assert "its certificate is not signed by a trusted CA" in str(distrust)
            assert "its certificate is for another host name" in str(misnamed)
            assert await client.ready()
        async with AsyncClient(address, 10, trusted) as client:
            assert await client.ready()


async def test_callers_show_certificates_where_the_server_asks(
    tmp_path: Path, transport: Transport, pair: Pair, ours: Authority, theirs: Authority
) -> None:
    """Mutual TLS: none, and one of another authority, are refused; one of ours is answered before and after."""
    mine, strange = ours.issue(f"caller-{transport}"), theirs.issue(f"caller-{transport}")
    known = Tls(ours.certificate, mine.certificate, mine.key)
    fields = {"transport": transport, "tls_client_ca": ours.certificate}
    async with serving(tmp_path / "models", pair, **fields) as address:
        async with AsyncClient(address, 10, known) as client:
            await until_served(client)
        nobody = await refused(address, Tls(ours.certificate))
        stranger = await refused(address, Tls(ours.certificate, strange.certificate, strange.key))

        assert {nobody.code, stranger.code} == {grpc.StatusCode.UNAVAILABLE}
        async with AsyncClient(address, 10, known) as client:
            assert len(await client.predict(tiny_images(2)[0])) == 2


@pytest.mark.parametrize(
    ("pair", "transport"), [("together", "h2corn"), ("together", "grpcio"), ("apart", "h2corn")], indirect=True
)
async def test_a_replaced_certificate_is_shown_to_new_connections_and_a_broken_one_to_nobody(
    tmp_path: Path, transport: Transport, pair: Pair, ours: Authority
) -> None:
    """An open connection goes on through it all; a half-written file leaves the last good certificate in use."""
    async with (
        serving(tmp_path / "models", pair, transport=transport) as address,
        AsyncClient(address, 10, Tls(ours.certificate)) as client,
    ):
        await until_served(client)
        first = der(pair)
        assert await asyncio.to_thread(shown, address, ours) == first

        half = Pair(tmp_path / "half.pem", pair.key)
        half.certificate.write_bytes(pair.certificate.read_bytes()[:200])
        good = pair.certificate.read_bytes()
        half.certificate.replace(pair.certificate)
        for _ in range(5):
            assert await asyncio.to_thread(shown, address, ours) == first

        fresh = ours.issue(f"fresh-{tmp_path.name}")
        assert fresh.certificate.read_bytes() != good
        pair.replace(fresh)
        async with asyncio.timeout(10):
            while await asyncio.to_thread(shown, address, ours) != der(fresh):
                await asyncio.sleep(0.02)

        assert len(await client.predict(tiny_images(2)[0])) == 2


async def test_the_metrics_say_when_the_certificate_in_use_ends(tmp_path: Path, pair: Pair, ours: Authority) -> None:
    """Of a new one as soon as it is there, of the last good one after a broken one; and of the authority of callers."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    fields = {"tls_client_ca": ours.certificate, "expected_servers": 3}
    supervisor = Supervisor(settings_of(tmp_path / "models", pair, **fields))
    await supervisor.start()
    try:
        first = await asyncio.to_thread(scraped, supervisor.metrics_port)
        pair.replace(ours.issue("longer", days=9))
        longer = await asyncio.to_thread(scraped, supervisor.metrics_port)
        pair.certificate.write_bytes(b"half of it")
        broken = await asyncio.to_thread(scraped, supervisor.metrics_port)
    finally:
        await supervisor.stop()

    ends = "vouch_certificate_not_after_seconds", (("of", "server"),)
    assert 0 < first[ends] - time.time() < 2 * 86_400 < 8 * 86_400 < longer[ends] - time.time() < 9 * 86_400
    assert broken[ends] == longer[ends]
    assert abs(first["vouch_certificate_not_after_seconds", (("of", "client_ca"),)] - first[ends]) < 600
    assert first["vouch_expected_servers", ()] == 3


def scraped(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, labels) of each metric -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(one.name, tuple(one.labels.items())): one.value for family in families for one in family.samples}


async def test_a_server_does_not_start_with_a_key_that_does_not_fit(
    tmp_path: Path, transport: Transport, pair: Pair, ours: Authority
) -> None:
    """Told before a worker is started, with the files named."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    wrong = Pair(pair.certificate, ours.issue(f"wrong-{transport}").key)

    with pytest.raises(StartFailed, match=f"{wrong.key} is not the key of"):
        await Supervisor(settings_of(tmp_path / "models", wrong, transport=transport)).start()


async def test_a_worker_that_starts_when_the_files_are_bad_takes_what_worked_last(
    tmp_path: Path, transport: Transport, pair: Pair, ours: Authority
) -> None:
    """It ended the server: a certificate is often replaced in several steps, and a worker may end at any moment."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    supervisor = Supervisor(settings_of(tmp_path / "models", pair, transport=transport))
    await supervisor.start()
    try:
        address, trusting = f"127.0.0.1:{supervisor.port}", Tls(ours.certificate)
        async with AsyncClient(address, 10, trusting) as client:
            await until_served(client)
        pair.key.write_text("not a key")
        assert supervisor._pool is not None
        supervisor._pool.kill()
        async with asyncio.timeout(30):
            while supervisor._pool.restarts == 0 or supervisor._pool.ready_workers == 0:
                await asyncio.sleep(0.02)

        async with AsyncClient(address, 10, trusting) as client:
            await until_served(client)
            assert (await client.predict(tiny_images(1)[0])).version == 1
    finally:
        await supervisor.stop()
