"""Signatures of bundles: Ed25519 over the bytes of manifest.json, which contains the digest of every other file.

`manifest.sig` is only the signature, 64 bytes, so that openssl can check it too. It is checked before the manifest is
parsed. Keys are PEM files. The library `cryptography` is loaded only if a key is used.
"""

import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vouch.bundle.digest import bytes_digest
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.plain_files import read_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "manifest.sig"
SIGNATURE_BYTES, KEY_BYTES = 64, 32
MAX_SIGNATURE_BYTES, MAX_PEM_BYTES = 1 << 12, 1 << 16
"""The most bytes read of a key or signature file."""
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""Prefix of the 32 bytes of a public key in DER. Source: RFC 8410, section 4."""
MISSING = "signatures need the package cryptography: pip install 'vouch-onnx[sign]'"


class KeyUnusable(BundleError):
    """A file is not a usable key, or the library for keys is missing."""


@dataclass(frozen=True)
class PublicKey:
    """The public key of an accepted signer."""

    raw: bytes
    """32 bytes."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key in DER: `openssl pkey -pubin -in KEY -outform DER | sha256sum`."""
        return bytes_digest(DER_PREFIX + self.raw)


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        KeyUnusable: it is not a public key, is of another kind, or cryptography is not installed.
    """
    content = _pem(path, "public key")
    _check_library()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - optional

    if b"PRIVATE KEY-----" in content:
        raise KeyUnusable(
            f"{path} is a private key; expected the public key, which `vouch sign --new-key` writes beside it"
        )
    try:
        key = serialization.load_pem_public_key(content)
    except Exception as err:  # many types, for files that are not PEM, damaged or of an unknown kind
        raise KeyUnusable(f"{path} is not a public key in PEM: {_why(err)}") from err
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"{path} is no Ed25519 key; `vouch sign --new-key` makes one")
    return PublicKey(key.public_bytes_raw())


def check_signature(path: Path, content: bytes, keys: Iterable[PublicKey]) -> PublicKey:
    """The key that signed the manifest of the bundle in this folder.

    Args:
        content: of its manifest.json, which is not parsed.

    Raises:
        InvalidBundle: the signature is missing or damaged, or is not by one of the keys for this manifest.
        KeyUnusable: cryptography is not installed.
    """
    _check_library()
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - optional

    signature = _read_signature(path)
    for key in (known := tuple(keys)):
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, content)
            return key
    names = ", ".join(key.fingerprint[:16] for key in known)
    raise InvalidBundle(
        f"{path / SIGNATURE} does not match: the manifest was changed after signing, or it was not signed by an "
        f"accepted key ({names})"
    )


def sign(path: Path, content: bytes, key: Path) -> PublicKey:
    """Writes a signature beside the manifest of the bundle in this folder, replacing any other; returns the key.

    Args:
        content: of its manifest.json.
        key: file of a private key in PEM, without a password.

    Raises:
        KeyUnusable: the key cannot be used.
        BundleError: the folder cannot be written.
    """
    private = _read_private_key(key)
    try:
        _put(path, private.sign(content))
    except OSError as err:
        raise BundleError(f"{path / SIGNATURE} cannot be written: {err.strerror}") from err
    return PublicKey(private.public_key().public_bytes_raw())


def make_key(path: Path) -> tuple[PublicKey, Path]:
    """Writes a new private key that only its owner can read, and beside it its public key; returns that and its path.

    Raises:
        KeyUnusable: one of the files exists or cannot be written, or cryptography is not installed.
    """
    _check_library()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - optional

    private, public = Ed25519PrivateKey.generate(), path.with_name(f"{path.name}.pub")
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for_others = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        if os.path.lexists(public):
            raise FileExistsError(errno.EEXIST, "File exists", str(public))
        _write_new(path, pem, 0o600)
        _write_new(public, for_others, 0o644)
    except OSError as err:
        raise KeyUnusable(f"no key was created: {err.filename}: {err.strerror}") from err
    return PublicKey(private.public_key().public_bytes_raw()), public


def _read_signature(path: Path) -> bytes:
    try:
        found = read_file(path / SIGNATURE, MAX_SIGNATURE_BYTES)
    except FileNotFoundError as err:
        raise InvalidBundle(f"{path} has no {SIGNATURE}, but a signature is required; vouch sign creates one") from err
    except OSError as err:
        raise InvalidBundle(f"{path / SIGNATURE} cannot be read: {err.strerror}") from err
    if len(found) != SIGNATURE_BYTES:
        raise InvalidBundle(f"{path / SIGNATURE} has {len(found):,} bytes; a signature has {SIGNATURE_BYTES}")
    return found


def _read_private_key(path: Path) -> "Ed25519PrivateKey":
    content = _pem(path, "private key")
    _check_library()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - optional

    if b"PUBLIC KEY-----" in content:
        raise KeyUnusable(f"{path} is a public key; signing needs the private key")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError as err:
        raise KeyUnusable(f"{path} has a password; expected a private key without a password") from err
    except Exception as err:  # as above
        raise KeyUnusable(f"{path} is not a private key in PEM: {_why(err)}") from err
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} is no Ed25519 key; `vouch sign --new-key` makes one")
    return key


def _pem(path: Path, kind: str) -> bytes:
    """The content of a key's file; it may be a link, because secrets are often mounted so."""
    try:
        return read_file(path.resolve(), MAX_PEM_BYTES)
    except OSError as err:
        raise KeyUnusable(f"the {kind} {path} cannot be read: {err.strerror}") from err
    except InvalidBundle as err:
        raise KeyUnusable(
            f"{path} is not a {kind} in PEM: it is not a file, or has more than {MAX_PEM_BYTES:,} bytes"
        ) from err


def _put(path: Path, signature: bytes) -> None:
    """Writes atomically and durably. The temporary file is beside the bundle's folder, which never has other files."""
    descriptor, fresh = tempfile.mkstemp(prefix=".signing-", dir=path.resolve().parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(signature)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path / SIGNATURE)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _check_library() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415 - optional
    except ModuleNotFoundError as err:
        raise KeyUnusable(MISSING) from err


def _why(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:200]
