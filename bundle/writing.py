"""Writes a version into a hidden folder, each file durable before the next."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from vouch.bundle.contents import check_publishable
from vouch.bundle.leftovers import held
from vouch.bundle.listed import MANIFEST, FileEntry
from vouch.bundle.plain_files import read_digest

Content = bytes | Callable[[BinaryIO], None]
"""The content of a published file: its bytes, or a function that writes it into a new seekable file."""
STAGING = ".staging-"
"""Prefix of an unfinished version's folder."""


def make_staging(folder: Path, locks: ExitStack) -> Path:
    """A new folder with an empty, locked manifest: so no other process removes it as unfinished."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
            locks.enter_context(held(staging / MANIFEST))
        except FileNotFoundError:
            continue  # another publisher removed the empty folder between two of these calls
        return staging


def write_durably(path: Path, content: Content) -> FileEntry:
    """Writes a new file, durable when this returns. Raises BundleError if it would be too large to be read."""
    if isinstance(content, bytes):
        check_publishable(path, len(content))
    with path.open("w+b") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
        check_publishable(path, size)
        file.seek(0)
        return FileEntry(sha256=read_digest(file, size)[1], size=size)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
