"""The models folder: `<models>/<name>/<version>/`. Only complete bundles are read and published.

A version is written to a hidden folder, made durable, and renamed to its number. So a reader sees a complete bundle or
none, and two publishers never use the same number. No number is used twice.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vouch.bundle.digest import bytes_digest
from vouch.bundle.errors import BundleError, InvalidBundle
from vouch.bundle.leftovers import hidden_files, remove_if_empty, remove_if_left
from vouch.bundle.listed import MANIFEST, NAME_PATTERN, FileEntry
from vouch.bundle.misplaced import VERSION_PATTERN
from vouch.bundle.numbers import HIGHEST, next_number, remember, turn
from vouch.bundle.signature import PublicKey
from vouch.bundle.writing import STAGING, Content, make_staging, sync_folder, write_durably

if TYPE_CHECKING:
    from vouch.bundle.manifest import Manifest
    from vouch.bundle.opening import Bundle


class ModelsFolder:
    """All versions of all models in one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Models with at least one version, sorted; includes models that cannot be opened because of their name.

        Raises:
            BundleError: the folder cannot be read.
        """
        return [name for name, versions in self.contents().items() if versions != []]

    def _is_misnamed(self, name: str) -> bool:
        """Whether a folder with a forbidden name such as `Pets` contains a bundle: its user expects to see it."""
        with suppress(BundleError):
            found = (self.path / name / str(version) / MANIFEST for version in self.versions(name))
            return name.isprintable() and any(os.access(manifest, os.F_OK) for manifest in found)
        return False

    def contents(self) -> dict[str, list[int] | None]:
        """Each model's folder with its versions, ascending: empty if it has none, None if it cannot be read.

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
            return None  # opening them reports the reason

    def versions(self, name: str) -> list[int]:
        """Versions of a model, ascending; empty if there is no such model."""
        folder = self.path / name
        if not folder.is_dir():
            return []
        return sorted(int(entry) for entry in _entries(folder) if VERSION_PATTERN.fullmatch(entry))

    def open(self, name: str, version: int, keys: Iterable[PublicKey] = ()) -> "Bundle":
        """A published version.

        Args:
            keys: as for `open_bundle`.

        Raises:
            InvalidBundle: it does not exist, is not signed or not valid, or its manifest has another name or version.
        """
        from vouch.bundle.opening import open_bundle  # noqa: PLC0415 - who lists versions loads no arrays

        found = open_bundle(self.path / name / str(version), keys=keys)
        if (found.manifest.name, found.manifest.version) != (name, version):
            place = self.path / found.manifest.name / str(found.manifest.version)
            raise InvalidBundle(f"the manifest of {found.path} names {found}, which belongs in {place}")
        return found

    def latest(self, name: str) -> "Bundle | None":
        """The highest version of a model that can be opened, or None."""
        for version in reversed(self.versions(name)):
            with suppress(InvalidBundle):
                return self.open(name, version)
        return None

    def remove_leftovers(self) -> list[Path]:
        """Removes unfinished folders of publishers that have ended, for all models; returns their paths."""
        left = [path for path in hidden_files(self.path, f"{STAGING}*") if remove_if_left(path, path / MANIFEST)]
        for folder in {path.parent for path in left}:
            remove_if_empty(folder)
        return left

    def check_writable(self, name: str) -> None:
        """Checks before hours of training whether a version can be published afterwards.

        Raises:
            BundleError: the name is not allowed, or the folder cannot be written.
        """
        with self._staging(name):
            pass

    def publish(
        self, name: str, files: Mapping[str, Content], describe: Callable[[int, dict[str, FileEntry]], "Manifest"]
    ) -> "Bundle":
        """Publishes the next version, durable when this returns.

        Args:
            files: name -> content of all files except the manifest, written in this order.
            describe: makes the manifest from the version number and the file entries; called when all are written.

        Raises:
            BundleError: the name is not allowed, a file is too large, or it cannot be written; no files remain then.
        """
        with self._staging(name) as staging:
            entries = {key: write_durably(staging / key, content) for key, content in files.items()}
            return self._take_number(name, staging, lambda version: describe(version, entries))

    def _take_number(self, name: str, staging: Path, describe: Callable[[int], "Manifest"]) -> "Bundle":
        """Writes the manifest of the next version and renames its folder to a number that no other publisher gets."""
        from vouch.bundle.opening import Bundle  # noqa: PLC0415 - as above

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
        """Renames the folder to its number; False if another publisher was faster."""
        folder = self.path / name
        with turn(folder):
            if next_number(folder, self.versions(name)) != version:
                return False
            remember(folder, version, staging / HIGHEST)
            try:
                staging.rename(folder / str(version))
            except OSError as err:
                if err.errno in (errno.EEXIST, errno.ENOTEMPTY):  # without locks
                    return False
                raise
            sync_folder(folder)
            return True

    @contextmanager
    def _staging(self, name: str) -> Iterator[Path]:
        """A hidden folder beside the versions; removed at the end unless it was renamed."""
        if not re.fullmatch(NAME_PATTERN, name):
            raise BundleError(
                "a model's name has 1 to 63 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or "
                f"digit; got {name!r}"
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
                staging.chmod(0o755)  # mkdtemp's folders are private to their owner; the server may run as another user
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
