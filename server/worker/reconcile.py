"""Makes this worker serve the line-up, and reports what it cannot serve.

An error with one version does not affect the others: it is reported, and the version served before stays served. A
failure that may be temporary is tried again with the next line-up, even if that has the same number. Any other failure
is remembered as long as the version is listed.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from vouch.bundle.errors import BundleError
from vouch.server.errors import DomainError
from vouch.server.lineup.folders import without_folders
from vouch.server.lineup.lineup import LineUp, Version
from vouch.server.link.messages import Applied, Loading, Problem, Report
from vouch.server.logs import event
from vouch.server.passing import is_passing
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served

log = logging.getLogger("vouch.server")

Load = Callable[[str, Version], Awaitable[Served]]
"""(a model's name, a listed version) -> that version, loaded and warm."""


class Reconciler:
    """Applies line-ups; skips all but the newest. Belongs to one event loop."""

    def __init__(self, catalog: Catalog, load: Load, report: Callable[[Report], None], models: Path) -> None:
        """
        Args:
            report: called with what is being loaded, and with the result of each line-up.
            models: the models folder; callers must not learn its path.
        """
        self._catalog = catalog
        self._load = load
        self._report = report
        self._models = models
        self._wanted = LineUp()
        self._news = asyncio.Event()
        self._decided: dict[tuple[str, int, str], Problem] = {}

    def follow(self, line_up: LineUp) -> None:
        """Takes a new line-up immediately; its versions are loaded after the one that is being loaded."""
        self._wanted = line_up
        self._catalog.follow(line_up)
        still = {_key(name, version) for name, version in line_up.versions()}
        self._decided = {key: problem for key, problem in self._decided.items() if key in still}
        self._news.set()

    async def run(self) -> None:
        """Applies one line-up after the other, and never ends. One that is overtaken is not reported."""
        while True:
            await self._news.wait()
            self._news.clear()
            line_up, problems = self._wanted, list[Problem]()
            for name, version in line_up.versions():
                if self._wanted is line_up and self._catalog.lacks(name, version):
                    problem = self._decided.get(_key(name, version)) or await self._try(name, version)
                    problems += [problem] if problem is not None else []
            if self._wanted is line_up:
                self._report(Applied(number=line_up.number, problems=tuple(problems)))

    async def _try(self, name: str, version: Version) -> Problem | None:
        """Loads a version and serves it; returns the problem if that fails in any way."""
        self._report(Loading(name=name, version=version.version))
        try:
            served = await self._load(name, version)
        except Exception as err:
            return self._failed(name, version, err)
        if not self._catalog.lacks(name, version):  # the line-up changed meanwhile
            await served.end()
            return None
        self._catalog.install(served)
        gc.collect()
        gc.freeze()  # these objects stay; scanning them in each collection would slow down every call
        return None

    def _failed(self, name: str, version: Version, err: Exception) -> Problem:
        passing, reason = is_passing(err), _reason(err)
        log.error(
            "%s version %d cannot be loaded by this worker: %s",
            *(name, version.version, reason),
            exc_info=None if passing or isinstance(err, DomainError | BundleError) else err,
            extra=event("not_loaded", model=name, version=version.version, reason=reason, passing=passing),
        )
        problem = Problem(name=name, version=version.version, reason=reason, passing=passing)
        self._catalog.not_loaded(name, version, without_folders(reason, self._models))
        if not passing and self._catalog.lists(name, version):
            self._decided[_key(name, version)] = problem
        return problem


def _reason(err: Exception) -> str:
    """The reason as text; the text of an unexpected error is only logged."""
    if isinstance(err, DomainError | BundleError | OSError):
        return str(err)
    if isinstance(err, MemoryError):
        return "there was not enough memory to load it"
    if is_passing(err):
        return f"it could not be loaded now: {err}"
    return f"loading it failed with an unexpected error ({type(err).__name__}); see the server's log"


def _key(name: str, version: Version) -> tuple[str, int, str]:
    return name, version.version, version.digest
