"""Looks at the models folder, has every new version verified, and hands on those that vouched for themselves.

Never trusts a folder it has not verified, and never gives up a version that serves: what is refused, deleted or
unreadable changes nothing for callers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from bundle.accuracy import Accuracy
from bundle.errors import BundleError
from bundle.store import Bundle, ModelsFolder
from server.catalog import Catalog, Refusal
from server.errors import DomainError, Refused

log = logging.getLogger("vouch.server")

Verify = Callable[[Path], Awaitable[tuple[str, Accuracy]]]
"""A bundle's folder -> digest and served accuracy; raises Refused."""
Install = Callable[[Bundle, Accuracy], Awaitable[None]]
"""Loads a verified bundle and serves it. Raises DomainError or BundleError where that fails."""
Fingerprint = tuple[tuple[str, int, int], ...]


class Watcher:
    """Keeps a catalog in step with a models folder."""

    def __init__(self, folder: ModelsFolder, catalog: Catalog, verify: Verify, install: Install) -> None:
        self._folder = folder
        self._catalog = catalog
        self._verify = verify
        self._install = install
        self._looked_at: dict[tuple[str, int], Fingerprint] = {}
        self._trouble = ""

    async def watch(self, interval_s: float) -> None:
        """Scans now and then every `interval_s` seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(interval_s)

    async def look(self) -> None:
        """A scan that survives an unreadable models folder, and bugs of ours; says so once while nothing changes."""
        try:
            await self.scan()
            self._trouble = ""
        except Exception as err:
            if repr(err) != self._trouble:
                bug = None if isinstance(err, BundleError) else err
                log.error("%s; what is served stays served", err, exc_info=bug)
            self._trouble = repr(err)

    async def scan(self) -> None:
        """Brings every model to the newest version that vouches for itself.

        Raises:
            BundleError: the models folder cannot be read.
        """
        candidates = {name: await self._candidates(name) for name in await asyncio.to_thread(self._folder.names)}
        waiting = [name for name, versions in candidates.items() if versions]
        for name in waiting:
            self._catalog.begin_verifying(name)
        for name in waiting:
            try:
                for version in candidates[name]:
                    if await self._try(name, version):
                        break
            finally:
                self._catalog.end_verifying(name)

    async def _candidates(self, name: str) -> list[int]:
        """Versions above the served one that are new, or changed since they were refused; newest first."""
        served = self._catalog.served_version(name)
        found: list[int] = []
        for version in await asyncio.to_thread(self._folder.versions, name):
            fingerprint = await asyncio.to_thread(_fingerprint, self._folder.path / name / str(version))
            if version > served and self._looked_at.get((name, version)) != fingerprint:
                self._looked_at[name, version] = fingerprint
                found.insert(0, version)
        return found

    async def _try(self, name: str, version: int) -> bool:
        """Verifies and installs a version; False where it is refused."""
        try:
            bundle = await asyncio.to_thread(self._folder.open, name, version)
            digest, served = await self._verify(bundle.path)
            if digest != bundle.digest:
                raise Refused("it changed while it was verified")
            await self._install(bundle, served)
        except (DomainError, BundleError) as err:
            log.error("%s version %d is refused: %s", name, version, err)
            self._catalog.refuse(name, Refusal(version, str(err)))
            return False
        log.info("%s is served: claim %s, served %s", bundle, bundle.manifest.claim.accuracy, served)
        return True


def _fingerprint(path: Path) -> Fingerprint:
    """Names, sizes and times of a version's files: a version that is still being copied is looked at again."""
    try:
        entries = [(entry, entry.stat()) for entry in sorted(path.iterdir())]
    except OSError:
        return ()
    return tuple((entry.name, stat.st_size, stat.st_mtime_ns) for entry, stat in entries)
