"""A bundle on disk without parsing its manifest: its size, its digest, descriptors of its files."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from vouch.bundle.contents import LIMITS, MAX_MANIFEST_BYTES, NEEDED
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.listed import MANIFEST
from vouch.bundle.misplaced import not_a_bundle
from vouch.bundle.plain_files import check_size, file_digest, hold


def hold_bundle(path: Path, files: Collection[str]) -> dict[str, int]:
    """Descriptors of the files that are read while the bundle in this folder is served: it can be served from them even
    if the folder is removed or replaced. The caller closes them.

    Args:
        files: the files listed in its manifest.

    Raises:
        InvalidBundle: a file is not a regular file, or too large.
        OSError: a file cannot be opened.
    """
    held: dict[str, int] = {}
    try:
        for name in (MANIFEST, *(name for name in NEEDED if name in files)):
            held[name] = hold(path / name, LIMITS[name])
    except BaseException:
        for descriptor in held.values():
            os.close(descriptor)
        raise
    return held


def check_manifest_size(path: Path) -> None:
    """Checks that this folder has a readable manifest, without reading it. Raises InvalidBundle."""
    with explained(path):
        check_size(path / MANIFEST, MAX_MANIFEST_BYTES)


def manifest_digest(path: Path) -> str:
    """SHA-256 of the manifest in this folder, in little memory. Raises InvalidBundle."""
    with explained(path):
        return file_digest(path / MANIFEST, MAX_MANIFEST_BYTES)[1]


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raises an error that states what is at a path without a manifest."""
    try:
        yield
    except OSError as err:
        found = not_a_bundle(path)
        hint = f"; {found}" if found else ""
        raise InvalidBundle(f"{path} is not a bundle: {MANIFEST} cannot be read ({err.strerror}){hint}") from err
