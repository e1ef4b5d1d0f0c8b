"""The models folder: `<models>/<name>/<version>/`, read as whole bundles and published as whole bundles.

A version is written beside its place in a hidden folder, made durable, and renamed into place: the rename is what takes
the number, so a reader sees a whole bundle or none and two publishers never share one. No number is taken twice.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vouch.bundle.answers import Answers
from vouch.bundle.contents import (
    LIMITS,
    MAX_MANIFEST_BYTES,
    NEEDED,
    check_files,
    open_listed,
    read_listed,
)
from vouch.bundle.digest import bytes_digest
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.fit_digests import FIT_DIGESTS, FitDigests
from vouch.bundle.leftovers import hidden_files, remove_if_empty, remove_if_left
from vouch.bundle.manifest import MANIFEST, MODEL, NAME_PATTERN, VALIDATION_FILES, FileEntry, Manifest, read_manifest
from vouch.bundle.misplaced import VERSION_PATTERN, not_a_bundle
from vouch.bundle.numbers import HIGHEST, next_number, remember, turn
from vouch.bundle.plain_files import check_size, file_digest, hold, read_file, read_held
from vouch.bundle.signature import PublicKey, check_signature, sign
from vouch.bundle.validation import PIECE_BYTES, Piece, Validation, in_memory, read_claimed, read_pieces
from vouch.bundle.writing import STAGING, Content, make_staging, sync_folder, write_durably

PIECE_IMAGES = 256


@dataclass(frozen=True)
class Bundle:
    """One version of one model on disk. Its manifest has been checked; its files are checked as they are read."""

    path: Path
    manifest: Manifest
    digest: str
    """SHA-256 of manifest.json, which holds the hashes of everything else."""
    held: Mapping[str, int] = field(default_factory=dict)
    """Descriptors of files that are held open, and read in place of those in the folder."""
    signed_by: str = ""
    """Fingerprint of the key whose signature was checked; empty where none was asked for."""

    def __str__(self) -> str:
        return f"{self.manifest.name} version {self.manifest.version}"

    def read(self, name: str) -> bytes:
        """A file's content, which is what the manifest says it is. Raises as `read_listed`."""
        return read_listed(self.path / name, self.manifest.files[name], self.held.get(name))

    def check_files(self) -> None:
        """Holds every file against the manifest. Raises InvalidBundle: one is missing, changed or too many."""
        check_files(self.path, self.manifest.files)

    def read_model(self) -> bytes:
        """The ONNX graph. Raises as `read`."""
        return self.read(MODEL)

    def read_fit_digests(self) -> FitDigests | None:
        """Digests of the images that it was fitted to; None where it has none. Raises as `read`."""
        return FitDigests(self.read(FIT_DIGESTS)) if FIT_DIGESTS in self.manifest.files else None

    def read_validation(self) -> Validation:
        """The validation split, decoded and all of it in memory: for small ones. Raises as `read_pieces`."""
        from vouch.bundle.pixels import decode  # noqa: PLC0415 - whoever only opens bundles needs no image library

        return in_memory(self.read_pieces(PIECE_IMAGES), partial(decode, settings=self.manifest.input))

    def read_pieces(self, count: int, most_bytes: int = PIECE_BYTES) -> Generator[Piece, None, None]:
        """The validation split in pieces, one in memory at a time. Args and errors as those of `read_pieces`."""
        with self._validation() as file:
            yield from read_pieces(file, self.manifest, count, most_bytes)

    def read_claimed(self) -> Iterator[Answers]:
        """What is claimed of each validation image, in pieces; no image is read. Raises as `read_claimed`."""
        with self._validation() as file:
            yield from read_claimed(file, self.manifest, PIECE_IMAGES)

    @property
    def has_files(self) -> bool:
        """Whether its validation images are stored as files."""
        return self.manifest.validation_file == VALIDATION_FILES

    def right_answers(self) -> np.ndarray | None:
        """Which validation images were answered rightly at training, in their order: bool, shape (N,). None before
        format 3, which has no answers. Raises as `read_claimed`.
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
        expected_digest: of the manifest, where it is known: another one is not even parsed.
        keys: of which one must have signed it, or it is not parsed either; none: nobody need have.

    Raises:
        InvalidBundle: no such folder, no manifest, another one than expected, not signed, or one that is not valid.
    """
    with _explained(path):
        content = read_file(path / MANIFEST, MAX_MANIFEST_BYTES)
    if (digest := bytes_digest(content)) != (expected_digest or digest):
        raise InvalidBundle(f"{path} is another bundle: it changed since it was verified")
    signed_by = check_signature(path, content, accepted).fingerprint if (accepted := tuple(keys)) else ""
    return Bundle(path, read_manifest(content), digest, signed_by=signed_by)


def sign_bundle(path: Path, key: Path) -> tuple[Bundle, PublicKey]:
    """Signs the bundle in this folder, whose files are what its manifest says; the bundle, and by which key.

    Args:
        key: file of a private key in PEM.

    Raises:
        InvalidBundle: it is none, or not whole: what is not understood is not signed.
        KeyUnusable: the key cannot be used.
        BundleError: the signature cannot be written.
    """
    with _explained(path):
        content = read_file(path / MANIFEST, MAX_MANIFEST_BYTES)
    bundle = Bundle(path, read_manifest(content), bytes_digest(content))
    bundle.check_files()
    return bundle, sign(path, content, key)


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


def open_held(path: Path, held: Mapping[str, int], expected_digest: str) -> Bundle:
    """The bundle whose files are held open.

    Args:
        path: where it lay.
        held: as from `hold_bundle`.

    Raises:
        InvalidBundle: they are not what was verified.
    """
    try:
        content = read_held(held[MANIFEST], MAX_MANIFEST_BYTES)
    except OSError as err:
        raise InvalidBundle(f"{MANIFEST} of {path}, which is held open, cannot be read: {err.strerror}") from err
    if bytes_digest(content) != expected_digest:
        raise InvalidBundle(f"{path} is another bundle: it changed since it was verified")
    return Bundle(path, read_manifest(content), expected_digest, held)


def check_manifest_size(path: Path) -> None:
    """Whether this folder has a manifest that could be read, without reading it. Raises InvalidBundle."""
    with _explained(path):
        check_size(path / MANIFEST, MAX_MANIFEST_BYTES)


def manifest_digest(path: Path) -> str:
    """SHA-256 of the manifest in this folder, in little memory. Raises InvalidBundle."""
    with _explained(path):
        return file_digest(path / MANIFEST, MAX_MANIFEST_BYTES)[1]


class ModelsFolder:
    """All versions of all models under one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Models that have at least one version, sorted; with those that cannot be opened because of their name.

        Raises:
            BundleError: the folder cannot be read.
        """
        return [name for name, versions in self.contents().items() if versions != []]

    def _is_misnamed(self, name: str) -> bool:
        """A folder `Pets` with a bundle in it, that whoever put it there expects to see; its name can be shown."""
        with suppress(BundleError):
            found = (self.path / name / str(version) / MANIFEST for version in self.versions(name))
            return name.isprintable() and any(os.access(manifest, os.F_OK) for manifest in found)
        return False

    def contents(self) -> dict[str, list[int] | None]:
        """Each model's folder with its versions, ascending: none where it was emptied, None where it cannot be read.

        Raises:
            BundleError: the folder itself cannot be read.
        """
        return {
            name: self._readable(name)
            for name in _entries(self.path)
            if re.fullmatch(NAME_PATTERN, name) or self._is_misnamed(name)
        }

    def _readable(self, name: str) -> list[int] | None:
        try:
            return self.versions(name)
        except BundleError:
            return None  # whoever asks for them is told why

    def versions(self, name: str) -> list[int]:
        """Versions of a model, ascending; none where there is no such model."""
        folder = self.path / name
        if not folder.is_dir():
            return []
        return sorted(int(entry) for entry in _entries(folder) if VERSION_PATTERN.fullmatch(entry))

    def open(self, name: str, version: int, keys: Iterable[PublicKey] = ()) -> Bundle:
        """A published version.

        Args:
            keys: as `open_bundle` takes them.

        Raises:
            InvalidBundle: it is not there, not signed, not valid, or says it is another model or version.
        """
        found = open_bundle(self.path / name / str(version), keys=keys)
        if (found.manifest.name, found.manifest.version) != (name, version):
            place = self.path / found.manifest.name / str(found.manifest.version)
            raise InvalidBundle(f"{found.path} says it is {found}, whose place is {place}")
        return found

    def latest(self, name: str) -> Bundle | None:
        """The highest version of a model that can be opened; None where there is none."""
        for version in reversed(self.versions(name)):
            with suppress(InvalidBundle):
                return self.open(name, version)
        return None

    def remove_leftovers(self) -> list[Path]:
        """Removes what publishers that are no more have left unfinished, of any model; returns what it was."""
        left = [path for path in hidden_files(self.path, f"{STAGING}*") if remove_if_left(path, path / MANIFEST)]
        for folder in {path.parent for path in left}:
            remove_if_empty(folder)
        return left

    def check_writable(self, name: str) -> None:
        """Finds out before hours of training whether a version could be published after them.

        Raises:
            BundleError: the name is not allowed, or the folder cannot be written.
        """
        with self._staging(name):
            pass

    def publish(
        self, name: str, files: Mapping[str, Content], describe: Callable[[int, dict[str, FileEntry]], Manifest]
    ) -> Bundle:
        """Publishes the next version, durable when this returns.

        Args:
            files: name -> content of all files but the manifest, written in this order.
            describe: the manifest for this version number and these file entries; called when they are all written.

        Raises:
            BundleError: the name is not allowed, a file is too large, or it cannot be written; nothing is left behind.
        """
        with self._staging(name) as staging:
            entries = {key: write_durably(staging / key, content) for key, content in files.items()}
            return self._take_number(name, staging, lambda version: describe(version, entries))

    def _take_number(self, name: str, staging: Path, describe: Callable[[int], Manifest]) -> Bundle:
        """Describes the next version and puts it into its place, which nobody else has or gets."""
        folder = self.path / name
        while True:
            version = next_number(folder, self.versions(name))
            manifest = describe(version)
            content = manifest.to_json()
            write_durably(staging / MANIFEST, content)
            sync_folder(staging)
            if self._is_taken(name, version, staging):
                return Bundle(folder / str(version), manifest, bytes_digest(content))

    def _is_taken(self, name: str, version: int, staging: Path) -> bool:
        """Renames what is written into its place; False where another publisher was faster."""
        folder = self.path / name
        with turn(folder):
            if next_number(folder, self.versions(name)) != version:
                return False
            remember(folder, version, staging / HIGHEST)
            try:
                staging.rename(folder / str(version))
            except OSError as err:
                if err.errno in (errno.EEXIST, errno.ENOTEMPTY):  # there are no locks here
                    return False
                raise
            sync_folder(folder)
            return True

    @contextmanager
    def _staging(self, name: str) -> Iterator[Path]:
        """A hidden folder beside the versions; removed at the end unless it was renamed away."""
        if not re.fullmatch(NAME_PATTERN, name):
            raise BundleError(
                f"a model's name is 1 to 63 of a-z, 0-9, '.', '_' and '-', not first a sign; got {name!r}"
            )
        folder = self.path / name
        with ExitStack() as locks:
            try:
                staging = make_staging(folder, locks)
                sync_folder(self.path)
            except OSError as err:
                raise BundleError(
                    f"the models folder {self.path} cannot be written: {err.strerror} ({err.filename})"
                ) from err
            try:
                staging.chmod(0o755)  # mkdtemp's folders are for their owner alone; the server may run as somebody else
                yield staging
            except OSError as err:
                raise BundleError(f"{name} cannot be published in {self.path}: {err.strerror}") from err
            finally:
                shutil.rmtree(staging, ignore_errors=True)
                remove_if_empty(folder)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as err:
        raise BundleError(f"{folder} cannot be read: {err.strerror}") from err


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Says what lies at a path where there is no manifest."""
    try:
        yield
    except OSError as err:
        found = not_a_bundle(path)
        hint = f"; {found}" if found else ""
        raise InvalidBundle(f"{path} is not a bundle: {MANIFEST} cannot be read ({err.strerror}){hint}") from err
