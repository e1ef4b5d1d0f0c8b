"""Looks at the models folder, has every new version verified, and hands on those that vouched for themselves.

Never trusts a folder it has not verified, and never gives up a version that serves: what is refused, deleted or
unreadable changes nothing for callers. Nothing that lies in the folder is parsed here; the verification does that.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from vouch.bundle.errors import BundleError
from vouch.bundle.misplaced import without_models
from vouch.bundle.store import ModelsFolder, check_manifest_size, manifest_digest
from vouch.server.errors import DomainError, Refused, Undecided
from vouch.server.lineup.verdict import Verdict, VerifiedVersion
from vouch.server.logs import event
from vouch.server.serving.catalog import Refusal, There, is_there
from vouch.server.supervisor.presence import Fingerprint, Found, Presence, fingerprint

log = logging.getLogger("vouch.server")

Verify = Callable[[Path], Awaitable[Verdict]]
"""What is found of the bundle in this folder, NAME/VERSION; raises Refused."""
Install = Callable[[VerifiedVersion], Awaitable[None]]
"""Loads a verified version and serves it. Raises DomainError or BundleError where that fails."""
VERIFIED_AT_ONCE = 2
TRY_AGAIN_AFTER_S = 30.0
"""After a probe could not be started or was killed."""
STALE_AFTER_S = 30.0
"""A models folder that could not be looked at for so long, and for two intervals, counts as one that cannot be read."""


class Record(Protocol):
    """What is told of the models, and asked for the versions that are served."""

    def served_version(self, name: str) -> int:
        """The version that answers now; 0 where there is none."""

    def begin_verifying(self, name: str, versions: Iterable[int]) -> None:
        """These versions of the model are being looked at."""

    def end_verifying(self, name: str) -> None:
        """The opposite."""

    def refuse(self, name: str, refusal: Refusal) -> None:
        """Why a version is not served."""

    def forget_all_but(self, there: There) -> None:
        """Of versions that are neither served nor there, nothing is to be remembered."""


class Watcher:
    """Keeps a record in step with a models folder. Models are looked after side by side: none waits for another."""

    def __init__(self, folder: ModelsFolder, record: Record, verify: Verify, install: Install) -> None:
        self._folder = folder
        self._record = record
        self._verify = verify
        self._install = install
        self._at_once = asyncio.Semaphore(VERIFIED_AT_ONCE)
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._decided: dict[tuple[str, int], Fingerprint] = {}
        self._try_again_at: dict[tuple[str, int], float] = {}
        self._trouble: dict[str, str] = {}
        self._without_models = ""
        self._presence = Presence()
        self._found = Found()
        self._looked_at, self._interval_s = time.monotonic(), 0.0

    @property
    def found(self) -> Found:
        """What the folder holds, as far as anybody knows at this moment."""
        stale = time.monotonic() - self._looked_at > STALE_AFTER_S + 2 * self._interval_s
        return replace(self._found, readable=False) if stale else self._found

    async def watch(self, interval_s: float) -> None:
        """Looks now and then every `interval_s` seconds, until cancelled."""
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
        """Sets every model that has something new to work; says once what cannot be read while that does not change."""
        try:
            contents = await asyncio.to_thread(self._folder.contents)
        except BundleError as err:
            self._found = replace(self._found, readable=False, there=await asyncio.to_thread(self._presence.look))
            self._tell("", err)
            return
        versions = {name: 1 if found is None else len(found) for name, found in contents.items()}
        self._found = Found(True, versions, await asyncio.to_thread(self._presence.look))
        self._looked_at = time.monotonic()
        self._trouble.pop("", None)
        names = [name for name, found in contents.items() if found != []]
        self._tell_of_none("" if names else await asyncio.to_thread(without_models, self._folder.path))
        self._forget_all_but({name: None if found is None else frozenset(found) for name, found in contents.items()})
        for name in names:
            if name not in self._at_work:
                task = asyncio.get_running_loop().create_task(self._bring_up(name), name=f"watch {name}")
                self._at_work[name] = task
                task.add_done_callback(partial(self._ended, name))

    def _forget_all_but(self, there: There) -> None:
        self._record.forget_all_but(there)
        for name, version in set(self._decided) | set(self._try_again_at):
            if not is_there(name, version, there):
                self._decided.pop((name, version), None)
                self._try_again_at.pop((name, version), None)

    async def settled(self) -> None:
        """Returns when what was found so far is served or refused."""
        await asyncio.gather(*self._at_work.values())

    async def _bring_up(self, name: str) -> None:
        """Serves the newest version that vouches for itself. Never raises but when cancelled."""
        try:
            versions = await self._candidates(name)
            if versions:
                self._record.begin_verifying(name, [version for version, _ in versions])
            for version, seen in versions:
                async with self._at_once:
                    if await self._try(name, version, seen):
                        break
            self._trouble.pop(name, None)
        except Exception as err:
            self._tell(name, err)
        finally:
            self._record.end_verifying(name)

    async def _candidates(self, name: str) -> list[tuple[int, Fingerprint]]:
        """Versions above the served one that are new, or changed since they were refused; newest first."""
        served, now = self._record.served_version(name), asyncio.get_running_loop().time()
        found: list[tuple[int, Fingerprint]] = []
        for version in await asyncio.to_thread(self._folder.versions, name):
            if version <= served or self._try_again_at.get((name, version), now) > now:
                continue
            seen = await asyncio.to_thread(fingerprint, self._folder.path / name / str(version))
            if self._decided.get((name, version)) != seen:
                found.insert(0, (version, seen))
        return found

    async def _try(self, name: str, version: int, seen: Fingerprint) -> bool:
        """Verifies and installs a version; False where it is refused."""
        try:
            path = self._folder.path / name / str(version)
            await asyncio.to_thread(check_manifest_size, path)
            verdict = await self._verify(path)
            if verdict.digest != await asyncio.to_thread(manifest_digest, path):
                raise Refused("it changed while it was verified")
            verified = VerifiedVersion(name, version, path, verdict)
            await self._install(verified)
            self._presence.keep(verified, seen)
        except (DomainError, BundleError) as err:
            if isinstance(err, Undecided):
                self._try_again_at[name, version] = asyncio.get_running_loop().time() + TRY_AGAIN_AFTER_S
            else:
                self._decided[name, version] = seen
            log.error(
                "%s version %d is refused: %s",
                *(name, version, err),
                extra=event("refused", model=name, version=version, reason=str(err)),
            )
            self._record.refuse(name, Refusal(version, str(err)))
            return False
        claim, served = verdict.claim, verdict.served
        log.info(
            "%s is served: claim %s, served %s",
            *(verified, claim, served),
            extra=event(
                "served",
                model=name,
                version=version,
                digest=verdict.digest,
                claim=claim.model_dump(),
                served=served.model_dump(),
            ),
        )
        for caveat in verdict.caveats:
            log.warning(
                "%s: %s",
                *(verified, caveat.text),
                extra=event("caveat", model=name, version=version, kind=caveat.kind, reason=caveat.text),
            )
        return True

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._at_work[name]

    def _tell_of_none(self, found: str) -> None:
        """Says what the folder holds in place of models, where it holds none: it may be meant, and may be a slip."""
        if found and found != self._without_models:
            log.warning("no model yet: %s", found, extra=event("no_model", models=str(self._folder.path)))
        self._without_models = found

    def _tell(self, name: str, err: Exception) -> None:
        if self._trouble.get(name) != repr(err):
            bug = None if isinstance(err, BundleError) else err
            log.error(
                "%s; what is served stays served", err, exc_info=bug, extra=event("models_folder_trouble", model=name)
            )
        self._trouble[name] = repr(err)
