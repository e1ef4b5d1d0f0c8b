"""The files that a server's TLS comes from: which they are, whether they can be used, and when they have changed.

Knows no transport. What is checked here is what Python's own `ssl` says of the files.
"""

import logging
import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vouch.server.errors import StartFailed
from vouch.server.logs import event

log = logging.getLogger("vouch.server")

NOT_YET_VALID, EXPIRED = 9, 10
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}
"""What parts of a subject are usually called."""


@dataclass(frozen=True)
class TlsFiles:
    """Where a server's certificate lies. All are PEM; paths are absolute, for workers have their own folders."""

    certificate: Path
    """The server's certificate, and after it those between it and a root."""
    key: Path
    """The certificate's private key, not encrypted."""
    client_ca: Path | None = None
    """Who has to have signed callers' certificates; None: callers need none."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Each file."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))


@dataclass(frozen=True)
class Validity:
    """From when to when a certificate can be used, in seconds since 1970."""

    not_before_s: float
    not_after_s: float
    subject: str = field(default="", compare=False)
    """Whose it is, such as "CN=example.com"."""

    def __str__(self) -> str:
        ends = datetime.fromtimestamp(self.not_after_s, UTC)
        return f"{self.subject or 'no subject'}, until {ends:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class TlsContents:
    """What the files hold: PEM."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    validities: Mapping[str, Validity]
    """Of "server", the first of its chain, and "client_ca", of several the one that ends next; without one whose dates
    Python's ssl does not say."""


def in_memory(contents: TlsContents) -> tuple[int, ...]:
    """Descriptors of files in memory: certificate, key, and the authority of callers if there is one (Linux)."""
    parts = [contents.certificate, contents.key, *([contents.client_ca] if contents.client_ca else [])]
    held = tuple(os.memfd_create("vouch") for _ in parts)
    for descriptor, part in zip(held, parts, strict=True):
        os.write(descriptor, part)
    return held


def inherited(descriptors: Sequence[int]) -> TlsContents | None:
    """Contents that worked, in files that this process was started with; they are closed. None without any.

    Args:
        descriptors: of certificate, key, and the authority of callers if there is one.
    """
    if not descriptors:
        return None
    certificate, key, *others = map(_read_and_close, descriptors)
    return TlsContents(certificate, key, others[0] if others else None, {})


def _read_and_close(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as held:
        held.seek(0)
        return held.read()


def tls_files(certificate: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    """The files of these settings; None where the server speaks plaintext."""
    return TlsFiles(certificate, key, client_ca) if certificate and key else None


def read_checked(files: TlsFiles) -> TlsContents:
    """What the files hold now, if a server can use it.

    Raises:
        StartFailed: a file cannot be read or is not PEM, the key is of another certificate or encrypted, or the
            certificate is out of date. The message names the file.
    """
    certificate, key = _read(files.certificate), _read(files.key)
    client_ca = _read(files.client_ca) if files.client_ca else None
    validities = {"client_ca": _of_authorities(_require_certificates(files.client_ca))} if files.client_ca else {}
    _require_certificates(files.certificate)
    validities["server"] = _require_in_date(_server_context(files), files.certificate)
    known = {whose: validity for whose, validity in validities.items() if validity is not None}
    return TlsContents(certificate, key, client_ca, known)


class TlsRotation:
    """The last contents that could be used, of files that may be replaced at any time."""

    def __init__(self, files: TlsFiles, last_good: TlsContents | None = None) -> None:
        """
        Args:
            last_good: contents that were used before, which are used on where the files cannot be now.

        Raises:
            StartFailed: as `read_checked`, where there are none.
        """
        self._files = files
        self._seen = _stamps(files)
        try:
            self.contents = read_checked(files)
        except StartFailed as err:
            if last_good is None:
                raise
            self._tell_refused(err)
            self.contents = last_good

    def renewed(self) -> bool:
        """Whether `contents` have just become others: the files have changed, and can be used.

        Files that cannot be are told of once, and what was good before stays. Costs a `stat` a file otherwise.
        """
        now = _stamps(self._files)
        if now == self._seen:
            return False
        try:
            contents = read_checked(self._files)
        except StartFailed as err:
            self._seen = now
            self._tell_refused(err)
            return False
        if _stamps(self._files) != now:
            return False  # still being written: looked at again for the next connection
        self._seen = now
        if contents == self.contents:
            return False
        self.contents = contents
        log.info("certificate %s: new connections see it", self)
        return True

    @contextmanager
    def held(self) -> Iterator[TlsFiles]:
        """The contents as files that nobody can change, while the block runs; the files themselves where the system has
        no such.
        """
        if not hasattr(os, "memfd_create"):
            yield self._files
            return
        held = in_memory(self.contents)
        certificate, key, *others = (Path(f"/proc/self/fd/{descriptor}") for descriptor in held)
        try:
            yield TlsFiles(certificate, key, others[0] if others else None)
        finally:
            for descriptor in held:
                os.close(descriptor)

    @staticmethod
    def _tell_refused(err: StartFailed) -> None:
        log.error(
            "the certificate has changed and the last good one stays in use: %s",
            err,
            extra=event("certificate_refused"),
        )

    def __str__(self) -> str:
        """The file, whose the certificate is, and when it ends."""
        validity = self.contents.validities.get("server")
        return f"{self._files.certificate} ({validity})" if validity else str(self._files.certificate)


def _stamps(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """(inode, nanoseconds of the last change, bytes) of each file; None for one that is not there."""
    return tuple(_stamp(path) for path in files.all)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise StartFailed(f"{path} cannot be read: {err.strerror}") from err


def _require_certificates(path: Path) -> ssl.SSLContext:
    """That trusts those of the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as err:
        raise StartFailed(f"{path} holds no certificate in PEM; it begins with -----BEGIN CERTIFICATE-----") from err
    return context


def _of_authorities(trusting: ssl.SSLContext) -> Validity | None:
    found = sorted(filter(None, map(_validity, trusting.get_ca_certs())), key=lambda one: one.not_after_s)
    return next((one for one in found if one.not_after_s > time.time()), found[-1] if found else None)


def _validity(certificate: Mapping[str, Any] | None) -> Validity | None:
    """Of a certificate as Python's ssl tells of it."""
    if not certificate:
        return None
    begins, ends = (ssl.cert_time_to_seconds(certificate[when]) for when in ("notBefore", "notAfter"))
    parts = [f"{SHORT.get(name, name)}={value}" for names in certificate["subject"] for name, value in names]
    return Validity(begins, ends, ", ".join(parts))


def _server_context(files: TlsFiles) -> ssl.SSLContext:
    def encrypted() -> str:
        raise StartFailed(f"{files.key} is encrypted and nobody is there to be asked; give a key without a password")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=encrypted)
    except ssl.SSLError as err:
        if err.reason == "KEY_VALUES_MISMATCH":
            reason = f"{files.key} is not the key of the certificate in {files.certificate}; give the two that belong"
        else:
            reason = f"{files.key} with {files.certificate} holds no usable private key in PEM: {err.reason or err}"
        raise StartFailed(reason) from err
    except OSError as err:
        raise StartFailed(f"{files.key} cannot be read: {err.strerror}") from err
    return context


def _require_in_date(server: ssl.SSLContext, certificate: Path) -> Validity | None:
    """Shakes hands in memory with a client that trusts this very certificate: Python has no other way to read dates."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cafile=certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(to_client, to_server)
    answerer = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (caller, answerer, caller):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as err:
            if err.verify_code in (NOT_YET_VALID, EXPIRED):
                raise StartFailed(f"{certificate}: {err.verify_message}; have it renewed") from err
            return None  # whom callers trust is theirs to say
    return _validity(caller.getpeercert())
