"""Loads the versions of a line-up into this process: bundle -> session -> batcher, run by their plan."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from vouch.bundle.errors import BundleError
from vouch.bundle.opening import Bundle, open_bundle, open_held
from vouch.server.budget import Budget
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import BatchDone, Statistics
from vouch.server.errors import Refused
from vouch.server.lineup.lineup import Version
from vouch.server.logs import event
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.loader import Loaded, load, most_images_a_run
from vouch.server.model.time_limits import load_within_s
from vouch.server.model.usable import unusable_in
from vouch.server.repeats import Repeats
from vouch.server.serving.served import Served
from vouch.server.settings import ServeSettings

log = logging.getLogger("vouch.server")

REPEATS = Repeats()


class Loader:
    """Loads listed versions. Belongs to one event loop."""

    def __init__(
        self,
        settings: ServeSettings,
        budget: Budget,
        on_death: Callable[[Served, BaseException], None],
        held: Mapping[str, Mapping[str, int]] | None = None,
        within_s: float | None = None,
    ) -> None:
        """
        Args:
            budget: each version takes a share of it.
            on_death: called when a version's runner ends with an error.
            held: digest of a bundle -> descriptors of its files.
            within_s: time limit for loading a version; None: the default for the largest batch.
        """
        self._settings = settings
        self._on_death = on_death
        self._held = held or {}
        self._budget = budget
        self._within_s = load_within_s(settings.max_batch_size) if within_s is None else within_s
        self.counts = Counts()
        """Counts of the loaded versions only."""

    async def load(self, name: str, version: Version) -> Served:
        """A version, loaded and warm; the caller must serve or end it.

        Raises:
            Refused, InvalidBundle: it does not load here, is not the verified bundle, or takes too long.
        """
        try:
            async with asyncio.timeout(self._within_s):
                bundle = await asyncio.to_thread(self._open, version)
                if (found := (bundle.manifest.name, bundle.manifest.version)) != (name, version.version):
                    raise Refused(f"{version.path} is {found[0]} {found[1]}; expected {name} {version.version}")
                session = await asyncio.to_thread(load, bundle, self._settings, version.plan)
        except TimeoutError as err:
            if err.errno is not None:  # raised by a disk
                raise
            raise Refused(f"it was not loaded within {self._within_s:g} s") from err
        return self._served(bundle, version, session)

    def _open(self, version: Version) -> Bundle:
        """Opens the files that the supervisor keeps open, which are the verified ones, or else the folder. Raises
        InvalidBundle.
        """
        if (held := self._held.get(version.digest)) is not None:
            with suppress(BundleError):  # these files were overwritten
                return open_held(version.path, held, version.digest)
        return open_bundle(version.path, version.digest)

    def _served(self, bundle: Bundle, version: Version, session: Loaded) -> Served:
        settings, plan, batcher_of = self._settings, version.plan, list[Served]()
        statistics = self.counts.begin(bundle.manifest.name, version.version)
        batcher = start_batcher(
            session.run,
            Limits(
                most_images_a_run(settings, bundle.manifest.input.shape, plan.at_once),
                settings.max_queue_images,
                plan.inline_images,
                settings.max_delay_ms / 1000,
                plan.at_once,
            ),
            self._budget.share(),
            on_death=lambda err: self._on_death(batcher_of[0], err),
            on_batch=partial(_count, statistics, str(bundle)),
            unusable=unusable_in(bundle.manifest),
        )
        batcher_of.append(served := Served(bundle, version.served, batcher, statistics, plan))
        served.recount = version.recount
        return served


def _count(statistics: Statistics, version: str, done: BatchDone) -> None:
    """Counts a run, and logs a version that returns unusable answers."""
    statistics.add(done)
    if done.unusable_images and (noted := REPEATS.note(version)).written:
        log.error(
            "%s returned values that are not finite or are no probabilities, for %d of %d images of a run%s",
            *(version, done.unusable_images, done.images, noted.left_out_in_words),
            extra=event("unusable_answers", version=version),
        )
