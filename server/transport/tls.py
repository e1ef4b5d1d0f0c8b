"""A server's TLS files: which they are, whether they can be used, and when they have changed.

Knows no transport. Files are checked with Python's own `ssl`.
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
"""Usual short names of the parts of a subject."""


@dataclass(frozen=True)
class TlsFiles:
    """The files of a server's certificate. All are PEM; paths are absolute, because workers have other folders."""

    certificate: Path
    """The server's certificate, followed by any intermediate ones."""
    key: Path
    """The certificate's private key, not encrypted."""
    client_ca: Path | None = None
    """The CAs of callers' certificates; None: callers need no certificate."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Each file."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))


@dataclass(frozen=True)
class Validity:
    """When a certificate is valid, in seconds since 1970."""

    not_before_s: float
    not_after_s: float
    subject: str = field(default="", compare=False)
    """Its subject, such as "CN=example.com"."""

    def __str__(self) -> str:
        ends = datetime.fromtimestamp(self.not_after_s, UTC)
        return f"{self.subject or 'no subject'}, until {ends:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class TlsContents:
    """The contents of the files: PEM."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    validities: Mapping[str, Validity]
    """Validity of "server" (the first of its chain) and "client_ca" (of several, the one that expires next); without
    those whose dates Python's ssl does not report."""


def in_memory(contents: TlsContents) -> tuple[int, ...]:
    """Descriptors of in-memory files: certificate, key, and the callers' CA if there is one (Linux)."""
    parts = [contents.certificate, contents.key, *([contents.client_ca] if contents.client_ca else [])]
    held = tuple(os.memfd_create("vouch") for _ in parts)
    for descriptor, part in zip(held, parts, strict=True):
        os.write(descriptor, part)
    return held


def inherited(descriptors: Sequence[int]) -> TlsContents | None:
    """Reads the last good contents from inherited files, and closes these. None without any.

    Args:
        descriptors: of certificate, key, and the callers' CA if there is one.
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
    """The files of these settings; None for plaintext."""
    return TlsFiles(certificate, key, client_ca) if certificate and key else None


def read_checked(files: TlsFiles) -> TlsContents:
    """The present contents of the files, checked.

    Raises:
        StartFailed: a file cannot be read or is not PEM, the key belongs to another certificate or is encrypted, or
            the certificate has expired or is not valid yet. The message names the file.
    """
    certificate, key = _read(files.certificate), _read(files.key)
    client_ca = _read(files.client_ca) if files.client_ca else None
    validities = {"client_ca": _of_authorities(_require_certificates(files.client_ca))} if files.client_ca else {}
    _require_certificates(files.certificate)
    validities["server"] = _require_in_date(_server_context(files), files.certificate)
    known = {whose: validity for whose, validity in validities.items() if validity is not None}
    return TlsContents(certificate, key, client_ca, known)


class TlsRotation:
    """The last good contents of files that may be replaced at any time."""

    def __init__(self, files: TlsFiles, last_good: TlsContents | None = None) -> None:
        """
        Args:
            last_good: earlier contents, used if the files cannot be used now.

        Raises:
            StartFailed: as `read_checked`, if there is no `last_good`.
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
        """Reads the files if they have changed; returns whether `contents` are new.

        Files that cannot be used are logged once, and the last good contents stay in use. Unchanged files cost one
        `stat` each.
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
            return False  # still being written: read again for the next connection
        self._seen = now
        if contents == self.contents:
            return False
        self.contents = contents
        log.info("certificate %s: used for new connections", self)
        return True

    @contextmanager
    def held(self) -> Iterator[TlsFiles]:
        """The contents as private in-memory files, while the block runs; the files themselves if the system has no such
        files.
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
            "the certificate has changed and cannot be used; the last good one stays in use: %s",
            err,
            extra=event("certificate_refused"),
        )

    def __str__(self) -> str:
        """The file, the certificate's subject, and when it expires."""
        validity = self.contents.validities.get("server")
        return f"{self._files.certificate} ({validity})" if validity else str(self._files.certificate)


def _stamps(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """(inode, nanoseconds of the last change, bytes) of each file; None for a missing one."""
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
    """A context that trusts the file's certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as err:
        raise StartFailed(f"{path} contains no PEM certificate, which begins with -----BEGIN CERTIFICATE-----") from err
    return context


def _of_authorities(trusting: ssl.SSLContext) -> Validity | None:
    found = sorted(filter(None, map(_validity, trusting.get_ca_certs())), key=lambda one: one.not_after_s)
    return next((one for one in found if one.not_after_s > time.time()), found[-1] if found else None)


def _validity(certificate: Mapping[str, Any] | None) -> Validity | None:
    """The validity of a certificate in the form of Python's ssl."""
    if not certificate:
        return None
    begins, ends = (ssl.cert_time_to_seconds(certificate[when]) for when in ("notBefore", "notAfter"))
    parts = [f"{SHORT.get(name, name)}={value}" for names in certificate["subject"] for name, value in names]
    return Validity(begins, ends, ", ".join(parts))


def _server_context(files: TlsFiles) -> ssl.SSLContext:
    def encrypted() -> str:
        raise StartFailed(f"{files.key} is encrypted; expected a key without a password")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=encrypted)
    except ssl.SSLError as err:
        if err.reason == "KEY_VALUES_MISMATCH":
            reason = f"{files.key} is not the key of the certificate in {files.certificate}; give a matching pair"
        else:
            reason = f"{files.key} with {files.certificate} contains no usable PEM private key: {err.reason or err}"
        raise StartFailed(reason) from err
    except OSError as err:
        raise StartFailed(f"{files.key} cannot be read: {err.strerror}") from err
    return context


def _require_in_date(server: ssl.SSLContext, certificate: Path) -> Validity | None:
    """Makes a TLS handshake in memory with a client that trusts this certificate: Python has no other way to read its
    dates.
    """
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
                raise StartFailed(f"{certificate}: {err.verify_message}; renew it") from err
            return None  # callers decide whom they trust
    return _validity(caller.getpeercert())
