"""Compares the files of a bundle's folder with its manifest; memory is bounded, whatever the folder contains."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from vouch.bundle.digest import bytes_digest
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.listed import (
    FIT_DIGESTS,
    MANIFEST,
    MAX_FIT_DIGESTS_BYTES,
    MAX_VALIDATION_BYTES,
    MODEL,
    VALIDATION,
    VALIDATION_FILES,
    FileEntry,
)
from vouch.bundle.plain_files import file_digest, first_entries, open_file, open_held, read_digest
from vouch.bundle.signature import SIGNATURE

MAX_MANIFEST_BYTES = 256 << 20
"""Enough for 4,900 classes: the confusion matrix of older versions takes 11 bytes per entry."""
LIMITS = {
    MANIFEST: MAX_MANIFEST_BYTES,
    MODEL: (2 << 30) - 1,
    VALIDATION: MAX_VALIDATION_BYTES,
    VALIDATION_FILES: MAX_VALIDATION_BYTES,
    FIT_DIGESTS: MAX_FIT_DIGESTS_BYTES,
}
"""An ONNX file is one protobuf message, which is limited to 2 GiB; images may not be compressible."""
NEEDED = (MODEL, VALIDATION, VALIDATION_FILES, FIT_DIGESTS)
"""Files that are open while a version is served, if it has them."""
OTHER_LIMIT = 1 << 30
"""The most bytes of each file that people read."""
MAX_ENTRIES = 1000
"""At most this many entries of a bundle's folder are checked."""
NAMED = 5


def check_publishable(path: Path, size: int) -> None:
    """Checks the size of a file before it is published.

    Raises:
        BundleError: it would be too large to be read.
    """
    if size > (most := LIMITS.get(path.name, OTHER_LIMIT)):
        raise BundleError(f"{path.name} would have {size:,} bytes, over the limit of {most:,}; nothing was published")


def read_listed(path: Path, entry: FileEntry, held: int | None = None) -> bytes:
    """A file's content, checked against the manifest.

    Args:
        held: a descriptor of the file, if it is already open.

    Raises:
        InvalidBundle: the file is missing, is not a regular file, is too large, or has another size or hash.
    """
    try:
        with _opened(path, entry, held) as (file, size):
            content = file.read(size)
    except OSError as err:
        raise InvalidBundle(f"{path} cannot be read: {err.strerror}") from err
    _check(path, entry, len(content), bytes_digest(content))
    return content


@contextmanager
def open_listed(path: Path, entry: FileEntry, held: int | None = None) -> Iterator[BinaryIO]:
    """An open file, checked against the manifest, for reading in pieces. Arguments and errors as for `read_listed`."""
    with ExitStack() as stack:
        try:
            file, size = stack.enter_context(_opened(path, entry, held))
            _check(path, entry, *read_digest(file, size))
            file.seek(0)
        except OSError as err:
            raise InvalidBundle(f"{path} cannot be read: {err.strerror}") from err
        yield file


def check_files(path: Path, files: Mapping[str, FileEntry]) -> None:
    """Checks every file of a folder, except manifest and signature, against the manifest, in little memory.

    Raises:
        InvalidBundle: a file is missing, changed or not listed.
    """
    expected = {MANIFEST, *files}
    try:
        found = set(first_entries(path, MAX_ENTRIES))
        missing = [name for name in sorted(expected - found) if not os.path.lexists(path / name)]
        if (extra := sorted(found - expected - {SIGNATURE})) or missing:
            words = [f"missing {', '.join(missing)}"] * bool(missing)
            words += [f"not listed {', '.join(extra[:NAMED])}{' and more' * (len(extra) > NAMED)}"] * bool(extra)
            raise InvalidBundle(f"{path} does not contain exactly the files of its manifest: {'; '.join(words)}")
        for name, entry in files.items():
            _check(path / name, entry, *file_digest(path / name, _limit(path / name, entry)))
    except OSError as err:
        raise InvalidBundle(f"{err.filename or path} cannot be read: {err.strerror}") from err


def _opened(path: Path, entry: FileEntry, held: int | None) -> AbstractContextManager[tuple[BinaryIO, int]]:
    return open_file(path, _limit(path, entry)) if held is None else open_held(held, _limit(path, entry))


def _limit(path: Path, entry: FileEntry) -> int:
    return min(entry.size, LIMITS.get(path.name, OTHER_LIMIT))


def _check(path: Path, entry: FileEntry, size: int, digest: str) -> None:
    if size != entry.size:
        raise InvalidBundle(f"{path} has {size:,} bytes; its manifest states {entry.size:,}")
    if digest != entry.sha256:
        raise InvalidBundle(f"{path} is not the file that was published: SHA-256 {digest}, expected {entry.sha256}")
