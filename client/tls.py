"""Channels to a server, with TLS or without: whom the caller trusts, and what it shows of itself."""

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
    """How a server is spoken to over TLS; all files are PEM."""

    ca: Path | None = None
    """Who has to have signed the server's certificate; None: any root that gRPC comes with, or those of the file that
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names."""
    certificate: Path | None = None
    """What the server is shown of this caller, where it wants to see something; goes with `key`."""
    key: Path | None = None
    server_name: str = ""
    """The name that the server's certificate has to hold; empty: the host that is called."""

    def __post_init__(self) -> None:
        """Raises ValueError where there is a certificate without its key, or the other way round."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate and its key go together, and one of them is missing")


def channels(server: str, options: Options, tls: Tls | None) -> Callable[[], grpc.Channel]:
    """What opens channels for threads.

    Raises:
        UnusableCertificate: a file cannot be read, or is not what it should be; none is read later.
    """
    options = [*options, *_authority(server)]
    if tls is None:
        return partial(grpc.insecure_channel, server, options)
    return partial(grpc.secure_channel, server, _credentials(tls), [*options, *_name(tls)])


def async_channels(server: str, options: Options, tls: Tls | None) -> Callable[[], grpc.aio.Channel]:
    """What opens channels for asyncio. Raises as `channels`."""
    options = [*options, *_authority(server)]
    if tls is None:
        return partial(grpc.aio.insecure_channel, server, options)
    return partial(grpc.aio.secure_channel, server, _credentials(tls), [*options, *_name(tls)])


def _authority(server: str) -> Options:
    """Of several addresses the first: gRPC itself would say all of them, which is no host, and h2corn refuses it."""
    first, several, _ = server.partition(",")
    return [("grpc.default_authority", first.partition(":")[2])] if several else []


def _name(tls: Tls) -> Options:
    return [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Checked here: gRPC would tell of a wrong file in words of its own, and only at the first call."""
    roots, certificate, key = (_read(path) if path else None for path in (tls.ca, tls.certificate, tls.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca:
        try:
            context.load_verify_locations(cafile=tls.ca)
        except ssl.SSLError as err:
            raise UnusableCertificate(f"{tls.ca} holds no certificate in PEM of who signs servers'") from err
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key, password=b"")
        except (ssl.SSLError, OSError) as err:
            raise UnusableCertificate(
                f"{tls.certificate} and {tls.key} are not a certificate and its key in PEM, without a password"
            ) from err
    return grpc.ssl_channel_credentials(roots, key, certificate)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise UnusableCertificate(f"{path} cannot be read: {err.strerror}") from err
