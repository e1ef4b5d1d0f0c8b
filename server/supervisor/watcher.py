"""Scans the models folder and verifies every new version; passes the results to `Published`, which decides.

No file of the folder is parsed here; the verification does that, in a process of its own. An error in one scan does
not prevent the next one.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from vouch.bundle.errors import BundleError
from vouch.bundle.misplaced import without_models
from vouch.bundle.store import ModelsFolder
from vouch.bundle.unparsed import check_manifest_size, manifest_digest
from vouch.server.errors import DomainError, Incomplete, Refused, Undecided
from vouch.server.lineup.verdict import Claimed, Verdict, VerifiedVersion
from vouch.server.logs import event
from vouch.server.passing import is_passing
from vouch.server.supervisor.backoff import Backoff
from vouch.server.supervisor.held_files import HeldFiles
from vouch.server.supervisor.presence import Fingerprint, Found, Presence, fingerprint, last_change_s
from vouch.server.supervisor.published import Published

log = logging.getLogger("vouch.server")


class Verifier(Protocol):
    """Verifies bundles, each in a process of its own."""

    async def verify(self, bundle: Path) -> Verdict:
        """The verdict on the bundle in this folder, NAME/VERSION. Raises Refused or Undecided."""

    async def claims(self, bundle: Path, older: tuple[int, ...]) -> tuple[Claimed, ...]:
        """The claims of these versions of the same model, without those that cannot be read."""


Key = tuple[str, int]
"""A model and a version of it."""


@dataclass(frozen=True)
class WatchLimits:
    """How the folder is scanned; values are in seconds unless stated otherwise."""

    at_once: int = 2
    """Versions that are verified at the same time."""
    look_s: float = 20.0
    """Limit for one scan: a network drive may hang."""
    retry_s: float = 1.0
    """Pause before a version is tried again after a temporary failure; twice as long each time."""
    retry_most_s: float = 60.0
    settled_s: float = 3.0
    """An incomplete version that was changed within this time counts as being copied."""
    stale_s: float = 30.0
    """A folder not scanned for this time plus two intervals counts as unreadable."""


class Watcher:
    """Handles models concurrently: none waits for another."""

    def __init__(
        self,
        folder: ModelsFolder,
        published: Published,
        verifier: Verifier,
        held: HeldFiles | None = None,
        limits: WatchLimits | None = None,
    ) -> None:
        self._folder = folder
        self._published = published
        self._held = held or HeldFiles()
        self._verifier = verifier
        self._limits = limits or WatchLimits()
        self._at_once = asyncio.Semaphore(self._limits.at_once)
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[Key, Fingerprint] = {}
        """Fingerprint of a version's folder when it was decided."""
        self._again_at: dict[Key, float] = {}
        """When an undecided version is tried again, in the event loop's time."""
        self._backoffs: dict[Key, Backoff] = {}
        self._trouble: dict[str, str] = {}
        self._without_models = ""
        self._presence = Presence()
        self._found = Found()
        self._looked_at, self._interval_s = time.monotonic(), 0.0

    @property
    def found(self) -> Found:
        """What the last scan found in the folder."""
        stale = time.monotonic() - self._looked_at > self._limits.stale_s + 2 * self._interval_s
        return replace(self._found, readable=False) if stale else self._found

    async def watch(self, interval_s: float) -> None:
        """Scans every `interval_s` seconds, until cancelled."""
        self._interval_s = interval_s
        try:
            while True:
                await self.look()
                await asyncio.sleep(interval_s)
        finally:
            for task in self._at_work.values():
                task.cancel()
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    async def look(self) -> None:
        """Starts a task for every model with something new to verify; logs each unreadable folder once. Raises nothing
        unless cancelled.
        """
        try:
            async with asyncio.timeout(self._limits.look_s):
                there = await asyncio.to_thread(self._presence.look, self._published.live())
            self._found = replace(self._found, there=there)
            async with asyncio.timeout(self._limits.look_s):
                await self._look(there)
            self._trouble.pop("", None)
        except Exception as err:
            self._found = replace(self._found, readable=False)
            self._tell("", err)

    async def settled(self) -> None:
        """Waits until everything found so far is decided."""
        await asyncio.gather(*self._at_work.values())

    async def _look(self, there: Mapping[Key, bool]) -> None:
        contents = await asyncio.to_thread(self._folder.contents)
        self._found = Found(True, {name: 1 if one is None else len(one) for name, one in contents.items()}, there)
        self._looked_at = time.monotonic()
        names = [name for name, found in contents.items() if found != []]
        self._tell_of_none("" if names else await asyncio.to_thread(without_models, self._folder.path))
        self._published.look({name: None if one is None else frozenset(one) for name, one in contents.items()})
        self._held.keep_alone(self._published.all_verified())
        await self._forget_changed(contents)
        for name in names:
            if contents[name] is None:
                await self._say_why_unreadable(name)
            if name not in self._at_work and self._next(name) is not None:
                task = asyncio.get_running_loop().create_task(self._bring_up(name), name=f"verify {name}")
                self._at_work[name] = task
                task.add_done_callback(partial(self._ended, name))

    async def _forget_changed(self, contents: dict[str, list[int] | None]) -> None:
        """Versions whose folder has changed since they were decided are verified again."""
        for name, version in [*self._seen]:
            if (found := contents.get(name, [])) is not None and version not in found:
                for kept in (self._seen, self._again_at, self._backoffs):
                    kept.pop((name, version), None)
            elif (
                not self._published.is_served(name, version)
                and await self._has_changed(name, version)
                and self._published.changed(name, version)
            ):
                del self._seen[name, version]

    async def _has_changed(self, name: str, version: int) -> bool:
        return await asyncio.to_thread(fingerprint, self._path(name, version)) != self._seen[name, version]

    async def _say_why_unreadable(self, name: str) -> None:
        try:
            await asyncio.to_thread(self._folder.versions, name)
            self._trouble.pop(name, None)
        except BundleError as err:
            self._tell(name, err)

    def _path(self, name: str, version: int) -> Path:
        return self._folder.path / name / str(version)

    def _next(self, name: str) -> int | None:
        """The next version of a model to verify now; None if there is none."""
        now = asyncio.get_running_loop().time()
        open_now = (one for one in self._published.to_verify(name) if self._again_at.get((name, one), now) <= now)
        return next(open_now, None)

    async def _bring_up(self, name: str) -> None:
        """Verifies the versions that would be served, one after the other. Raises nothing unless cancelled."""
        try:
            while (version := self._next(name)) is not None:
                async with self._at_once:
                    await self._try(name, version)
            self._trouble.pop(name, None)
        except Exception as err:
            self._tell(name, err)

    async def _try(self, name: str, version: int) -> None:
        """Decides a version, or when it is tried again."""
        path, key = self._path(name, version), (name, version)
        seen = await asyncio.to_thread(fingerprint, path)
        try:
            verdict = await self._verdict(path)
            claims = await self._claims(path, key)  # one process at a time: each has its memory limit
        except (DomainError, BundleError, OSError) as err:
            if isinstance(err, Undecided) or is_passing(err):
                self._try_again_later(key, err)
            elif await self._is_being_copied(path, seen, err):
                self._wait_for_the_rest(key)
            else:
                self._decide(key, seen)
                self._published.refuse(name, version, str(err))
            return
        self._decide(key, seen)
        verified = VerifiedVersion(name, version, path, verdict)
        self._presence.keep(verified, seen)
        self._published.claim(name, claims)  # before `verify`, or it would be served without a comparison
        self._published.verify(verified)
        await asyncio.to_thread(self._held.hold, verified)  # after `verify`, or the next scan would close the files

    async def _claims(self, path: Path, key: Key) -> tuple[Claimed, ...]:
        """Claims of the older versions that this one is compared with."""
        older = self._published.without_claims(*key)
        return await self._verifier.claims(path, older) if older else ()

    async def _verdict(self, path: Path) -> Verdict:
        try:
            await asyncio.to_thread(check_manifest_size, path)
            verdict = await self._verifier.verify(path)
            if verdict.digest != await asyncio.to_thread(manifest_digest, path):
                raise Refused("it changed while it was verified")
        except BundleError as err:
            raise Incomplete(str(err)) from err
        return verdict

    def _decide(self, key: Key, seen: Fingerprint) -> None:
        self._seen[key] = seen
        self._again_at.pop(key, None)
        self._backoffs.pop(key, None)

    def _try_again_later(self, key: Key, err: Exception) -> None:
        limits = self._limits
        pause_s = self._backoffs.setdefault(key, Backoff(limits.retry_s, limits.retry_most_s)).next_s()
        self._again_at[key] = asyncio.get_running_loop().time() + pause_s
        log.error(
            "%s version %d could not be verified now: %s; it is tried again in %g s",
            *(*key, err, pause_s),
            extra=event("undecided", model=key[0], version=key[1], reason=str(err), pause_s=pause_s),
        )
        self._published.put_off(*key)

    async def _is_being_copied(self, path: Path, seen: Fingerprint, err: Exception) -> bool:
        """Whether an incomplete version is being copied: its folder is changing, or changed a moment ago."""
        if not isinstance(err, Incomplete):
            return False
        if await asyncio.to_thread(fingerprint, path) != seen:
            return True
        changed_s = await asyncio.to_thread(last_change_s, path)
        return abs(time.time() - changed_s) < self._limits.settled_s

    def _wait_for_the_rest(self, key: Key) -> None:
        if key not in self._again_at:
            log.info(
                "%s version %d is incomplete and is being copied; it will be verified when it is complete",
                *key,
                extra=event("being_copied", model=key[0], version=key[1]),
            )
        self._again_at[key] = asyncio.get_running_loop().time() + self._limits.settled_s / 3
        self._published.put_off(*key)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._at_work[name]

    def _tell_of_none(self, found: str) -> None:
        """Logs what the folder contains instead of models, if it has none: that may be a mistake."""
        if found and found != self._without_models:
            log.warning("no model yet: %s", found, extra=event("no_model", models=str(self._folder.path)))
        self._without_models = found

    def _tell(self, name: str, err: Exception) -> None:
        if self._trouble.get(name) != repr(err):
            bug = None if isinstance(err, BundleError | OSError) else err
            said = str(err) or "reading the models folder timed out"
            log.error(
                "%s; served versions stay served", said, exc_info=bug, extra=event("models_folder_trouble", model=name)
            )
        self._trouble[name] = repr(err)
