"""What is served under each name, and what was refused: the one table that services read and the watcher writes.

A version is leased for the time of a call. A swap changes the table at once; the old version ends when its last lease
does, so a call never loses the model it began with.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.store import Bundle
from vouch.cli.nearest import did_you_mean
from vouch.server.counting.statistics import Statistics
from vouch.server.errors import NotReady, UnknownModel
from vouch.server.model.batcher import Batcher

log = logging.getLogger("vouch.server")

LONGEST_NAME = 63
LISTED = 10
"""Models that a message names."""
COMPARED = 100
"""Models that a name is compared with: a millisecond's work, which callers can ask for as often as they like."""

There = Mapping[str, frozenset[int] | None]
"""Model -> its versions in the models folder; None where they cannot be read, so that all of them may be there."""


@dataclass(frozen=True)
class Refusal:
    """A version that was looked at and is not served."""

    version: int
    reason: str
    """For callers: it names no folder of this machine."""


class Served:
    """A version that vouched for itself, and the batcher that answers for it."""

    def __init__(
        self, bundle: Bundle, served: Accuracy, batcher: Batcher, statistics: Statistics | None = None
    ) -> None:
        """
        Args:
            statistics: the ones that the batcher tells of its runs; None where nobody counts.
        """
        self.bundle = bundle
        self.served = served
        self.batcher = batcher
        self.statistics = statistics or Statistics()
        self._leases = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @contextmanager
    def lease(self) -> Iterator["Served"]:
        """Keeps the version alive while the block runs."""
        self._leases += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._leases -= 1
            if not self._leases:
                self._unused.set()

    async def end(self) -> None:
        """Waits for the last lease, then ends the batcher and gives the model's memory back."""
        await self._unused.wait()
        await self.batcher.close()


@dataclass(frozen=True)
class Entry:
    """All there is to say about one model now."""

    name: str
    served: Served | None
    refusals: tuple[Refusal, ...]
    """Versions above the served one, ascending."""
    verifying: tuple[int, ...]
    """Versions that are being looked at or wait for it, ascending."""


class Catalog:
    """Models by name. Belongs to one event loop."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            on_change: called when a version came to be served, or no longer is.
        """
        self._on_change = on_change
        self.generation = 0
        """Another one whenever another version, or none, answers for some model."""
        self._served: dict[str, Served] = {}
        self._refusals: dict[str, dict[int, Refusal]] = {}
        self._verifying: dict[str, set[int]] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether at least one model is served."""
        return bool(self._served)

    def entries(self) -> list[Entry]:
        """Every model that has been seen, by name."""
        return [self.entry(name) for name in sorted({*self._served, *self._refusals, *self._verifying})]

    def entry(self, name: str) -> Entry:
        """One model.

        Args:
            name: may be empty where one model is served, or none is and there is one.

        Raises:
            UnknownModel: no model of this name, or several to choose from.
        """
        known = {*self._served, *self._refusals, *self._verifying}
        if not name:
            name = self._only(set(self._served) or known)
        if name not in known:
            shown = name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "..."
            meant = did_you_mean(name, sorted(known)[:COMPARED])
            raise UnknownModel(f"there is no model {shown!r}{meant or f'; there {_listed(known)}'}")
        refusals = self._refusals.get(name, {})
        ordered = tuple(refusals[version] for version in sorted(refusals))
        return Entry(name, self._served.get(name), ordered, tuple(sorted(self._verifying.get(name, ()))))

    def find(self, name: str, version: int = 0) -> Served:
        """The version that answers now.

        Args:
            name: may be empty where one model is served.
            version: 0 for whichever is served.

        Raises:
            UnknownModel: no such model, or another version of it is served.
            NotReady: none of its versions has vouched for itself yet.
        """
        entry = self.entry(name)
        if entry.served is None:
            if entry.verifying:
                raise NotReady(f"model {entry.name} is being verified; no version of it is served yet")
            raise NotReady(f"no version of model {entry.name} is served: {entry.refusals[-1].reason}")
        found = entry.served.bundle.manifest.version
        if version not in (0, found):
            raise UnknownModel(f"version {version} of model {entry.name} is not served; version {found} is")
        return entry.served

    def served_version(self, name: str) -> int:
        """The version that answers now; 0 where there is none."""
        served = self._served.get(name)
        return served.bundle.manifest.version if served else 0

    def begin_verifying(self, name: str, versions: Iterable[int]) -> None:
        """Says that these versions of this model are being looked at, until each is refused or a newer one served."""
        self._verifying[name] = set(versions)

    def end_verifying(self, name: str) -> None:
        """The opposite."""
        self._verifying.pop(name, None)

    def refuse(self, name: str, refusal: Refusal) -> None:
        """Remembers why a version is not served."""
        self._verifying.get(name, set()).discard(refusal.version)
        self._refusals.setdefault(name, {})[refusal.version] = refusal

    def forget_all_but(self, there: There) -> None:
        """Drops what is remembered of versions that are neither served nor there any more."""
        self._refusals = still_refused(self._refusals, there)

    def install(self, served: Served) -> None:
        """Swaps a version in; the one before it ends when its last call has."""
        manifest = served.bundle.manifest
        before = self._served.get(manifest.name)
        self._served[manifest.name] = served
        self.generation += 1
        remembered = self._refusals.get(manifest.name, {})
        self._refusals[manifest.name] = {key: value for key, value in remembered.items() if key > manifest.version}
        if before is not None:
            task = asyncio.get_running_loop().create_task(before.end())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        self._on_change()

    def withdraw(self, served: Served, reason: str) -> None:
        """Takes a version out that can no longer answer; callers are told the reason."""
        manifest = served.bundle.manifest
        if self._served.get(manifest.name) is served:
            log.error("%s is withdrawn: %s", served.bundle, reason)
            del self._served[manifest.name]
            self.generation += 1
            self.refuse(manifest.name, Refusal(manifest.version, reason))
            self._on_change()

    async def close(self) -> None:
        """Ends every version, after its calls."""
        ending = [served.end() for served in self._served.values()]
        await asyncio.gather(*ending, *self._retiring)

    @staticmethod
    def _only(known: set[str]) -> str:
        if len(known) == 1:
            return next(iter(known))
        if not known:
            raise NotReady("the models folder of this server holds no model yet; vouch train publishes one")
        raise UnknownModel(f"a model has to be named; there {_listed(known)}")


def is_there(name: str, version: int, there: There) -> bool:
    """Whether the version lies in the models folder, or may do so."""
    versions = there.get(name, frozenset())
    return versions is None or version in versions


def still_refused(refusals: Mapping[str, Mapping[int, Refusal]], there: There) -> dict[str, dict[int, Refusal]]:
    """The refusals of versions that are still there; no entry for a model that has none."""
    kept = {
        name: {version: one for version, one in versions.items() if is_there(name, version, there)}
        for name, versions in refusals.items()
    }
    return {name: versions for name, versions in kept.items() if versions}


def _listed(names: set[str]) -> str:
    if not names:
        return "are none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ("is " if len(names) == 1 else "are ") + ", ".join(sorted(names)[:LISTED]) + more
