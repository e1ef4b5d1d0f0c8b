"""One serving process, whatever its transport: catalog -> services, told what to serve by its supervisor."""

import asyncio
import gc
import logging
from collections.abc import Callable
from functools import partial

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.errors import BundleError
from vouch.bundle.store import Bundle, open_bundle
from vouch.server.budget import worker_budget
from vouch.server.cores import keep_to
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import BatchDone, Requests, Statistics
from vouch.server.errors import CountsUnknown, DomainError
from vouch.server.forced_exit import end_within
from vouch.server.lineup.folders import without_folders
from vouch.server.link.channel import Channel
from vouch.server.link.messages import (
    AskTotal,
    Assignment,
    Broken,
    Forget,
    NotServed,
    Order,
    Ping,
    Pong,
    Ready,
    Report,
    Serve,
    Serving,
    Stop,
    Stopped,
    Total,
    Verifying,
)
from vouch.server.link.questions import Questions
from vouch.server.logs import event, start_log
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.loader import load
from vouch.server.model.session import require_provider
from vouch.server.model.time_limits import load_within_s
from vouch.server.model.tuning import at_once_images
from vouch.server.model.usable import unusable_in
from vouch.server.repeats import Repeats
from vouch.server.rpc.method import Method, no_method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.decoder import Decoder
from vouch.server.services.health import Health
from vouch.server.services.oip.service import Inference
from vouch.server.services.reflection import Reflection
from vouch.server.serving.catalog import Catalog, Refusal, Served
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.settings import ServeSettings
from vouch.server.transport.choice import Listener

log = logging.getLogger("vouch.server")

REPEATS = Repeats()
CLOSE_WITHIN_S = 5.0
"""When all calls have ended, or the grace has: less than the supervisor waits."""
TOTAL_WITHIN_S = 3.0
"""What all workers counted; the supervisor waits a part of this for those that do not answer."""


class Worker:
    """Answers calls through `methods`; a transport binds them, a supervisor says what is served."""

    def __init__(self, settings: ServeSettings, cores: int) -> None:
        """
        Args:
            cores: that this process may use.
        """
        self._settings = settings
        self._cores = cores
        self._readiness = Readiness()
        self.gate = Gate()
        self.budget = worker_budget(settings.max_held_bytes)
        self._decoder = Decoder(cores, settings.max_queue_images, self.budget)
        self.catalog = Catalog(on_change=lambda: self._readiness.set(self.catalog.ready))
        self._report: Callable[[Report], None] = lambda report: None
        self._counts = Counts()
        self._questions = Questions()
        self._orders: asyncio.Queue[Order | Report] = asyncio.Queue()
        self._methods: list[Method] = []

    def methods(self) -> list[Method]:
        """All services, as one table."""
        limit = self._settings.max_request_images
        services = [
            *Classifier(self.catalog, self.gate, self._decoder, limit).methods(),
            *Inference(self.catalog, self.gate, self._readiness, limit, self._total).methods(),
        ]
        names = sorted({method.path.split("/")[1] for method in services})
        others = [*Health(self._readiness, names).methods(), *Reflection(names).methods(), no_method()]
        self._methods = [*services, *others]
        return self._methods

    async def work(self, channel: Channel, server: Listener) -> None:
        """Does what it is told until it is told to stop, or nobody is there to tell it; then drains.

        Args:
            server: what calls come from.
        """
        self._report = channel.say
        channel.say(Ready())
        told_to_stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        hearing = asyncio.create_task(self._hear(channel, told_to_stop), name="hear the supervisor")
        following = asyncio.create_task(self._follow_all(), name="follow orders")
        stop = await told_to_stop
        end_within(stop.delay_s + self._settings.grace_s + CLOSE_WITHIN_S)
        following.cancel()
        await asyncio.wait((following,))
        await self._drain(stop.delay_s, server)
        hearing.cancel()
        await asyncio.wait((hearing,))
        channel.say(Stopped(counts=self._told()))
        await channel.close()

    async def _hear(self, channel: Channel, told_to_stop: "asyncio.Future[Stop]") -> None:
        """Passes on what takes its time, and answers the rest, also while calls are still being answered."""
        async for order in channel.heard():
            match order:
                case Stop():
                    if not told_to_stop.done():
                        told_to_stop.set_result(order)
                case Ping():
                    channel.say(Pong(number=order.number, counts=self._told()))
                case Total():
                    self._questions.answered(order.number, order.counts)
                case _:
                    self._orders.put_nowait(order)
        self._questions.end()
        if not told_to_stop.done():
            told_to_stop.set_result(Stop(delay_s=self._settings.drain_delay_s))

    def _told(self) -> Counts:
        """All that was counted here, with what is so at this moment."""
        requests = Requests()
        for method in self._methods:
            requests.merge(method.requests)
        served = [entry.served for entry in self.catalog.entries() if entry.served is not None]
        waiting = {one.bundle.manifest.name: one.batcher.waiting_images for one in served}
        return Counts(self._counts.versions, requests, waiting, self.budget.held_by_kind())

    async def _total(self) -> Counts:
        """Raises CountsUnknown."""
        try:
            return await self._questions.ask(lambda number: self._report(AskTotal(number=number)), TOTAL_WITHIN_S)
        except TimeoutError as err:
            raise CountsUnknown("what all workers have counted could not be had; ask again") from err

    async def _follow_all(self) -> None:
        """One after the other; loading a model takes its time, and pings are answered meanwhile."""
        while True:
            await self._follow(await self._orders.get())

    async def _follow(self, order: Order | Report) -> None:
        match order:
            case Serve():
                problem = await self._serve(order)
                if problem:
                    self._refuse(order.name, order.version, problem)
                self._report(Serving(path=order.path, problem=problem))
            case Verifying(versions=()):
                self.catalog.end_verifying(order.name)
            case Verifying():
                self.catalog.begin_verifying(order.name, order.versions)
            case NotServed():
                self._refuse(order.name, order.version, order.reason)
            case Forget():
                self.catalog.forget_all_but(order.there)

    def _refuse(self, name: str, version: int, reason: str) -> None:
        """The reason is for callers from here on."""
        self.catalog.refuse(name, Refusal(version, without_folders(reason, self._settings.models)))

    async def _serve(self, order: Serve) -> str:
        """Loads a verified bundle, warms it up and swaps it in; the reason where that fails."""
        within_s = load_within_s(self._settings.max_batch_size)
        try:
            async with asyncio.timeout(within_s):
                bundle = await asyncio.to_thread(open_bundle, order.path, order.digest)
                await self.install(bundle, order.served)
        except TimeoutError:
            return f"it was not loaded within {within_s:.0f} s"
        except (DomainError, BundleError) as err:
            return str(err)
        return ""

    async def install(self, bundle: Bundle, counted: Accuracy) -> None:
        """Serves a bundle that has vouched for itself.

        Raises:
            Refused, InvalidBundle: it does not load here.
        """
        settings, shape = self._settings, bundle.manifest.input.shape
        session = await asyncio.to_thread(load, bundle, settings, self._cores)
        at_once = 0
        if settings.provider == "cpu":
            at_once = await asyncio.to_thread(at_once_images, session.run, shape, settings.max_batch_size)
        version: list[Served] = []
        statistics = self._counts.begin(bundle.manifest.name, bundle.manifest.version)
        batcher = start_batcher(
            session.run,
            Limits(settings.max_batch_size, settings.max_queue_images, at_once, settings.max_delay_ms / 1000),
            self.budget.share(),
            on_death=lambda err: self._lost(version[0], err),
            on_batch=partial(_count, statistics, str(bundle)),
            unusable=unusable_in(bundle.manifest),
        )
        version.append(Served(bundle, counted, batcher, statistics))
        self.catalog.install(version[0])
        gc.collect()
        gc.freeze()  # what is there now stays; looking through it again and again would cost every call

    def _lost(self, served: Served, err: BaseException) -> None:
        log.error("the runner of %s has ended", served.bundle, exc_info=err, extra=event("runner_ended"))
        self.catalog.withdraw(served, "its runner has ended; the server's log says why")
        self._report(Broken(reason=f"{served.bundle}: its runner ended by {err!r}"))

    async def _drain(self, delay_s: float, server: Listener) -> None:
        """Not ready; after the delay new calls told UNAVAILABLE, accepted ones answered within the grace; all ends."""
        self._readiness.drain()
        await asyncio.sleep(delay_s)
        await server.turn_away()
        await self.gate.close(self._settings.grace_s)
        await server.stop()
        self._decoder.close()
        await self.catalog.close()


def _count(statistics: Statistics, version: str, done: BatchDone) -> None:
    """A run; a version that gives no usable answers is also reported."""
    statistics.add(done)
    if done.unusable_images and (noted := REPEATS.note(version)).written:
        log.error(
            "%s gives values that are not finite, or no probabilities: to %d of %d images of a run%s",
            *(version, done.unusable_images, done.images, noted.left_out_in_words),
            extra=event("unusable_answers", version=version),
        )


def worker_of(assignment: Assignment) -> Worker:
    """The worker that this process was started to be.

    Raises:
        StartFailed: the provider is not available.
    """
    start_log()
    if assignment.pinned_to:
        keep_to(assignment.pinned_to)
    require_provider(assignment.settings.provider)
    return Worker(assignment.settings, assignment.cores)
