"""Channels to a server, with or without TLS: the CAs that the client trusts, and its own certificate."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc

from vouch.client.errors import UnusableCertificate

Options = list[tuple[str, str | int]]


@dataclass(frozen=True)
class Tls:
    """Settings of TLS to a server; all files are PEM."""

    ca: Path | None = None
    """CAs, one of which must have signed the server's certificate. None: the roots that come with gRPC, or those in the
    file GRPC_DEFAULT_SSL_ROOTS_FILE_PATH."""
    certificate: Path | None = None
    """The client's certificate, for a server that requires one; needs `key`."""
    key: Path | None = None
    server_name: str = ""
    """The name that the server's certificate must contain; empty: the host that is called."""

    def __post_init__(self) -> None:
        """Raises ValueError for a certificate without its key, or a key without its certificate."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected a certificate and its key together; one of them is missing")


def channels(server: str, options: Options, tls: Tls | None) -> Callable[[], grpc.Channel]:
    """A function that opens channels for threads.

    Raises:
        UnusableCertificate: a file cannot be read, or has the wrong content. No file is read later.
    """
    options = [*options, *_authority(server)]
    if tls is None:
        return partial(grpc.insecure_channel, server, options)
    return partial(grpc.secure_channel, server, _credentials(tls), [*options, *_name(tls)])


def async_channels(server: str, options: Options, tls: Tls | None) -> Callable[[], grpc.aio.Channel]:
    """A function that opens channels for asyncio. Raises as `channels`."""
    options = [*options, *_authority(server)]
    if tls is None:
        return partial(grpc.aio.insecure_channel, server, options)
    return partial(grpc.aio.secure_channel, server, _credentials(tls), [*options, *_name(tls)])


def _authority(server: str) -> Options:
    """The first of several addresses: gRPC would send all of them as the host, which h2corn refuses."""
    first, several, _ = server.partition(",")
    return [("grpc.default_authority", first.partition(":")[2])] if several else []


def _name(tls: Tls) -> Options:
    return [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Reads and checks the files here: gRPC would report a wrong file only at the first call, in its own words."""
    roots, certificate, key = (_read(path) if path else None for path in (tls.ca, tls.certificate, tls.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca:
        try:
            context.load_verify_locations(cafile=tls.ca)
        except ssl.SSLError as err:
            raise UnusableCertificate(f"{tls.ca} does not contain a CA certificate in PEM") from err
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key, password=b"")
        except (ssl.SSLError, OSError) as err:
            raise UnusableCertificate(
                f"{tls.certificate} and {tls.key} are not a certificate and its key in PEM without a password"
            ) from err
    return grpc.ssl_channel_credentials(roots, key, certificate)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise UnusableCertificate(f"{path} cannot be read: {err.strerror}") from err
