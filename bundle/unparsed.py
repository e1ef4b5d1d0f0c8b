"""A bundle on disk whose manifest is not parsed: its size, its digest, its files held open."""

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
    """Descriptors of the files that are read while the bundle in this folder is served: it can be served by them when
    the folder is gone, or holds another. Whoever gets them closes them.

    Args:
        files: that its manifest lists.

    Raises:
        InvalidBundle: a file is no plain one, or too large.
        OSError: one cannot be opened.
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
    """Whether this folder has a manifest that could be read, without reading it. Raises InvalidBundle."""
    with explained(path):
        check_size(path / MANIFEST, MAX_MANIFEST_BYTES)


def manifest_digest(path: Path) -> str:
    """SHA-256 of the manifest in this folder, in little memory. Raises InvalidBundle."""
    with explained(path):
        return file_digest(path / MANIFEST, MAX_MANIFEST_BYTES)[1]


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says what lies at a path where there is no manifest."""
    try:
        yield
    except OSError as err:
        found = not_a_bundle(path)
        hint = f"; {found}" if found else ""
        raise InvalidBundle(f"{path} is not a bundle: {MANIFEST} cannot be read ({err.strerror}){hint}") from err
