"""The models folder: `<models>/<name>/<version>/`, read as whole bundles and published as whole bundles.

A version is written beside its place in a hidden folder, made durable, and renamed into place: the rename is what takes
the number, so a reader sees a whole bundle or none and two publishers never share one. No number is taken twice.
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

    def open(self, name: str, version: int, keys: Iterable[PublicKey] = ()) -> "Bundle":
        """A published version.

        Args:
            keys: as `open_bundle` takes them.

        Raises:
            InvalidBundle: it is not there, not signed, not valid, or says it is another model or version.
        """
        from vouch.bundle.opening import open_bundle  # noqa: PLC0415 - who lists versions loads no arrays

        found = open_bundle(self.path / name / str(version), keys=keys)
        if (found.manifest.name, found.manifest.version) != (name, version):
            place = self.path / found.manifest.name / str(found.manifest.version)
            raise InvalidBundle(f"{found.path} says it is {found}, whose place is {place}")
        return found

    def latest(self, name: str) -> "Bundle | None":
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
        self, name: str, files: Mapping[str, Content], describe: Callable[[int, dict[str, FileEntry]], "Manifest"]
    ) -> "Bundle":
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

    def _take_number(self, name: str, staging: Path, describe: Callable[[int], "Manifest"]) -> "Bundle":
        """Describes the next version and puts it into its place, which nobody else has or gets."""
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
