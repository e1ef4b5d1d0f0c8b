"""One bundle on disk: opened, kept open, signed. Does not know the models folder.

Its manifest is checked when it is opened, and each file against the manifest whenever it is read.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vouch.bundle.answers import Answers
from vouch.bundle.contents import (
    MAX_MANIFEST_BYTES,
    check_files,
    open_listed,
    read_listed,
)
from vouch.bundle.digest import bytes_digest
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.fit_digests import FitDigests
from vouch.bundle.listed import FIT_DIGESTS, MANIFEST, MODEL, VALIDATION_FILES
from vouch.bundle.manifest import Manifest, read_manifest
from vouch.bundle.plain_files import read_file, read_held
from vouch.bundle.signature import PublicKey, check_signature, sign
from vouch.bundle.unparsed import explained
from vouch.bundle.validation import PIECE_BYTES, Piece, Validation, in_memory, read_claimed, read_pieces

PIECE_IMAGES = 256


@dataclass(frozen=True)
class Bundle:
    """One version of one model on disk. Its manifest was checked; its files are checked when they are read."""

    path: Path
    manifest: Manifest
    digest: str
    """SHA-256 of manifest.json, which contains the hashes of all other files."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Descriptors of open files, which are read instead of those in the folder."""
    signed_by: str = ""
    """Fingerprint of the key whose signature was checked; empty if none was required."""

    def __str__(self) -> str:
        return f"{self.manifest.name} version {self.manifest.version}"

    def read(self, name: str) -> bytes:
        """A file's content, checked against the manifest. Raises as `read_listed`."""
        return read_listed(self.path / name, self.manifest.files[name], self.held.get(name))

    def check_files(self) -> None:
        """Checks every file against the manifest. Raises InvalidBundle if one is missing, changed or not listed."""
        check_files(self.path, self.manifest.files)

    def read_model(self) -> bytes:
        """The ONNX graph. Raises as `read`."""
        return self.read(MODEL)

    def read_fit_digests(self) -> FitDigests | None:
        """Digests of the images that it was trained on; None if it has none. Raises as `read`."""
        return FitDigests(self.read(FIT_DIGESTS)) if FIT_DIGESTS in self.manifest.files else None

    def read_validation(self) -> Validation:
        """The whole validation split, decoded in memory; for small ones. Raises as `read_pieces`."""
        from vouch.bundle.pixels import decode  # noqa: PLC0415 - whoever only opens bundles needs no image library

        return in_memory(self.read_pieces(PIECE_IMAGES), partial(decode, settings=self.manifest.input))

    def read_pieces(self, count: int, most_bytes: int = PIECE_BYTES) -> Generator[Piece, None, None]:
        """The validation split in pieces, one in memory at a time. Arguments and errors as for `read_pieces`."""
        with self._validation() as file:
            yield from read_pieces(file, self.manifest, count, most_bytes)

    def read_claimed(self) -> Iterator[Answers]:
        """The claimed answers to the validation images, in pieces; no image is read. Raises as `read_claimed`."""
        with self._validation() as file:
            yield from read_claimed(file, self.manifest, PIECE_IMAGES)

    @property
    def has_files(self) -> bool:
        """Whether its validation images are stored as files."""
        return self.manifest.validation_file == VALIDATION_FILES

    def right_answers(self) -> np.ndarray | None:
        """Which validation images had right answers in training: bool, shape (N,). None before format 3.
        Raises as `read_claimed`.
        """
        if not self.manifest.has_answers:
            return None
        return np.concatenate([claimed.right for claimed in self.read_claimed()])

    def _validation(self) -> AbstractContextManager[BinaryIO]:
        name = self.manifest.validation_file
        return open_listed(self.path / name, self.manifest.files[name], self.held.get(name))


def open_bundle(path: Path, expected_digest: str = "", keys: Iterable[PublicKey] = ()) -> Bundle:
    """The bundle in this folder, its manifest checked.

    Args:
        expected_digest: of the manifest, if known: another manifest is not parsed.
        keys: one of these must have signed it, or it is not parsed; empty: no signature is required.

    Raises:
        InvalidBundle: no such folder, no manifest, another one than expected, not signed, or not valid.
    """
    with explained(path):
        content = read_file(path / MANIFEST, MAX_MANIFEST_BYTES)
    if (digest := bytes_digest(content)) != (expected_digest or digest):
        raise InvalidBundle(f"{path} is another bundle: it changed since it was verified")
    signed_by = check_signature(path, content, accepted).fingerprint if (accepted := tuple(keys)) else ""
    return Bundle(path, read_manifest(content), digest, signed_by=signed_by)


def sign_bundle(path: Path, key: Path) -> tuple[Bundle, PublicKey]:
    """Signs the bundle in this folder, after checking its files; returns the bundle and the key.

    Args:
        key: file of a private key in PEM.

    Raises:
        InvalidBundle: it is not a valid and complete bundle; nothing is signed then.
        KeyUnusable: the key cannot be used.
        BundleError: the signature cannot be written.
    """
    with explained(path):
        content = read_file(path / MANIFEST, MAX_MANIFEST_BYTES)
    bundle = Bundle(path, read_manifest(content), bytes_digest(content))
    bundle.check_files()
    return bundle, sign(path, content, key)


def open_held(path: Path, held: Mapping[str, int], expected_digest: str) -> Bundle:
    """The bundle from files that are kept open.

    Args:
        path: its original folder.
        held: from `hold_bundle`.

    Raises:
        InvalidBundle: they are not the verified files.
    """
    try:
        content = read_held(held[MANIFEST], MAX_MANIFEST_BYTES)
    except OSError as err:
        raise InvalidBundle(f"{MANIFEST} of {path}, which is kept open, cannot be read: {err.strerror}") from err
    if bytes_digest(content) != expected_digest:
        raise InvalidBundle(f"{path} is another bundle: it changed since it was verified")
    return Bundle(path, read_manifest(content), expected_digest, held)
