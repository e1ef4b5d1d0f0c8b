"""Signatures of bundles: Ed25519 over the bytes of manifest.json, which holds the digest of every other file.

`manifest.sig` is the signature and nothing else, 64 bytes, so that openssl can check it too. It is checked before
anything of the manifest is parsed. Keys are PEM files. The library `cryptography` is loaded where one is used.
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
"""That are read of either file, to say what is wrong with it."""
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What goes before the 32 bytes of a public key in DER. Source: RFC 8410, section 4."""
MISSING = "signatures need the package cryptography: pip install 'vouch-onnx[sign]'"


class KeyUnusable(BundleError):
    """A file is no key that signs or checks bundles, or the library for it is missing."""


@dataclass(frozen=True)
class PublicKey:
    """Who may have signed."""

    raw: bytes
    """32 bytes."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key in DER, as `openssl pkey -pubin -in KEY -outform DER | sha256sum` gives it."""
        return bytes_digest(DER_PREFIX + self.raw)


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        KeyUnusable: it is none, a private one, one of another kind, or cryptography is not installed.
    """
    content = _pem(path, "public key")
    _check_library()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - optional

    if b"PRIVATE KEY-----" in content:
        raise KeyUnusable(
            f"{path} is a private key; expected the public one, which `vouch sign --new-key` puts beside it"
        )
    try:
        key = serialization.load_pem_public_key(content)
    except Exception as err:  # a dozen types, for what is no PEM file, damaged or of an unknown kind
        raise KeyUnusable(f"{path} is no public key in PEM: {_why(err)}") from err
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"{path} is no Ed25519 key; `vouch sign --new-key` makes one")
    return PublicKey(key.public_bytes_raw())


def check_signature(path: Path, content: bytes, keys: Iterable[PublicKey]) -> PublicKey:
    """Which of the keys has signed the manifest of the bundle in this folder.

    Args:
        content: of its manifest.json, which is not parsed.

    Raises:
        InvalidBundle: there is no signature, it is damaged, or none of the keys has made it for this manifest.
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
        f"{path / SIGNATURE} does not fit: the manifest was changed after it was signed, or none of the keys that are "
        f"accepted ({names}) has signed it"
    )


def sign(path: Path, content: bytes, key: Path) -> PublicKey:
    """Puts a signature beside the manifest of the bundle in this folder, in the place of any other; by which key.

    Args:
        content: of its manifest.json.
        key: file of a private key in PEM, without a password.

    Raises:
        KeyUnusable: it is none.
        BundleError: the folder cannot be written.
    """
    private = _read_private_key(key)
    try:
        _put(path, private.sign(content))
    except OSError as err:
        raise BundleError(f"{path / SIGNATURE} cannot be written: {err.strerror}") from err
    return PublicKey(private.public_key().public_bytes_raw())


def make_key(path: Path) -> tuple[PublicKey, Path]:
    """Writes a new private key that its owner alone can read, and its public one beside it; that one, and where it is.

    Raises:
        KeyUnusable: one of the files is there, or cannot be written, or cryptography is not installed.
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
        raise KeyUnusable(f"no key is made: {err.filename}: {err.strerror}") from err
    return PublicKey(private.public_key().public_bytes_raw()), public


def _read_signature(path: Path) -> bytes:
    try:
        found = read_file(path / SIGNATURE, MAX_SIGNATURE_BYTES)
    except FileNotFoundError as err:
        raise InvalidBundle(
            f"{path} has no {SIGNATURE}, and a signature is required; vouch sign puts one there"
        ) from err
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
        raise KeyUnusable(f"{path} is a public key; signing takes the private one")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError as err:
        raise KeyUnusable(f"{path} has a password; expected a private key without one") from err
    except Exception as err:  # as above
        raise KeyUnusable(f"{path} is no private key in PEM: {_why(err)}") from err
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} is no Ed25519 key; `vouch sign --new-key` makes one")
    return key


def _pem(path: Path, kind: str) -> bytes:
    """The content of a key's file; a link may lead to it, as secrets are often mounted."""
    try:
        return read_file(path.resolve(), MAX_PEM_BYTES)
    except OSError as err:
        raise KeyUnusable(f"the {kind} {path} cannot be read: {err.strerror}") from err
    except InvalidBundle as err:
        raise KeyUnusable(
            f"{path} is no {kind} in PEM: it is no file, or has more than {MAX_PEM_BYTES:,} bytes"
        ) from err


def _put(path: Path, signature: bytes) -> None:
    """At once and durably. Written beside the bundle's folder, which holds nothing but its own files at any moment."""
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
