"""One serving process, with any transport: follows its supervisor's messages and line-up, takes calls, drains."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from vouch.server.budget import Budget, worker_budget
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import Requests
from vouch.server.errors import CountsUnknown, StartFailed
from vouch.server.forced_exit import end_within
from vouch.server.link.channel import Channel
from vouch.server.link.messages import (
    AskTotal,
    Broken,
    Follow,
    Listen,
    Listening,
    Ping,
    Pong,
    Stop,
    Stopped,
    Total,
)
from vouch.server.link.questions import Questions
from vouch.server.logs import event
from vouch.server.rpc.method import Method
from vouch.server.services.decoder import Decoder
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served
from vouch.server.settings import ServeSettings
from vouch.server.transport.choice import Listener
from vouch.server.transport.limits import MakeHttp
from vouch.server.worker.heap import give_back, trimmer
from vouch.server.worker.loading import Loader
from vouch.server.worker.reconcile import Reconciler
from vouch.server.worker.services import ServiceParts, http_of, service_table

log = logging.getLogger("vouch.server")

CLOSE_WITHIN_S = 5.0
"""Limit for closing after all calls, or the grace period, have ended: less than the supervisor waits."""
TOTAL_WITHIN_S = 3.0
"""Limit for getting the counts of all workers; the supervisor waits less for those that do not reply."""

StartListening = Callable[[Iterable[Method], Gate, Budget, MakeHttp | None], Awaitable[Listener]]
"""Serves methods, and an HTTP application, on a port; calls take their memory from this budget. Raises StartFailed."""


class EndedUnasked(Exception):
    """A task that a worker needs has ended, so the worker must be replaced."""


class Worker:
    """Answers calls under its supervisor's control. Belongs to one event loop."""

    def __init__(
        self,
        settings: ServeSettings,
        cores: int,
        channel: Channel,
        listen: StartListening,
        held: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        """
        Args:
            cores: number of cores that this process may use.
            channel: to the supervisor.
            listen: called when the supervisor sends `Listen`.
            held: digest of a bundle -> descriptors of its files, used if its folder is gone.
        """
        self._settings = settings
        self._channel = channel
        self._listen = listen
        self._readiness = Readiness()
        self._gate = Gate()
        self._budget = worker_budget(settings.max_held_bytes)
        self._decoder = Decoder(cores, settings.max_queue_images, self._budget)
        self._catalog = Catalog(lambda: self._readiness.set(self._catalog.ready), settings.default_model)
        self._loader = Loader(settings, self._budget, self._lost, held)
        self._reconciler = Reconciler(self._catalog, self._loader.load, channel.say, settings.models)
        self._questions = Questions()
        predictor = Predictor(
            self._catalog, self._decoder.decode, settings.max_request_images, settings.max_message_bytes
        )
        parts = ServiceParts(self._catalog, self._gate, self._readiness, predictor, self._total)
        self._methods = service_table(parts)
        self._http = http_of(settings, parts)
        self._listener: Listener | None = None
        self._starting: asyncio.Task[None] | None = None
        self._end: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()

    async def work(self, ends_within: Callable[[float], None] = end_within) -> None:
        """Follows its supervisor until that sends `Stop` or ends; then drains.

        Args:
            ends_within: called then with the seconds after which this process must be ended by force.

        Raises:
            EndedUnasked: a task that it needs has ended.
        """
        hearing = self._watched(self._hear(), "hearing the supervisor")
        others = [self._watched(self._reconciler.run(), "following the line-up")]
        if (trim := trimmer()) is not None:
            others.append(self._watched(give_back(trim), "giving memory back"))
        try:
            stop = await self._end
        except EndedUnasked:
            for task in (hearing, *others):
                task.cancel()
            raise
        ends_within(stop.delay_s + self._settings.grace_s + CLOSE_WITHIN_S)
        await _cancel(*others, *([self._starting] if self._starting is not None else []))
        await self._drain(stop.delay_s)
        await _cancel(hearing)
        self._channel.say(Stopped(counts=self._counts()))
        await self._channel.close()

    def _watched(self, task: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        started = asyncio.create_task(task, name=name)
        started.add_done_callback(partial(self._ended, name))
        return started

    def _ended(self, name: str, task: "asyncio.Future[None]") -> None:
        if not self._end.done():
            ended = EndedUnasked(f"the task {name!r} has ended unexpectedly")
            ended.__cause__ = None if task.cancelled() else task.exception()
            self._end.set_exception(ended)

    async def _hear(self) -> None:
        """Handles the supervisor's messages, also while it drains."""
        async for order in self._channel.heard():
            match order:
                case Stop():
                    self._stop(order)
                case Ping():
                    self._channel.say(Pong(number=order.number, counts=self._counts()))
                case Total():
                    self._questions.answered(order.number, order.counts)
                case Follow():
                    self._reconciler.follow(order.line_up)
                case Listen() if self._starting is None or self._starting.done():
                    self._starting = asyncio.create_task(self._start_listening(), name="start listening")
        self._questions.end()
        self._stop(Stop(delay_s=self._settings.drain_delay_s))

    def _stop(self, stop: Stop) -> None:
        if not self._end.done():
            self._end.set_result(stop)

    async def _start_listening(self) -> None:
        """Takes calls; reports that to the supervisor, or why it cannot."""
        problem = ""
        try:
            if self._listener is None:
                self._listener = await self._listen(self._methods, self._gate, self._budget, self._http)
                self._listener.ended.add_done_callback(partial(self._ended, "listening"))
        except StartFailed as err:
            problem = str(err)
        except Exception as err:
            log.exception("the transport failed to start", extra=event("listening_failed"))
            problem = f"the transport failed to start ({type(err).__name__}); see the worker's log line above"
        self._channel.say(Listening(problem=problem))

    def _counts(self) -> Counts:
        """This worker's counts, including its present queue and memory."""
        requests = Requests()
        for method in self._methods:
            requests.merge(method.requests)
        waiting = {
            entry.name: sum(served.batcher.waiting_images for served in entry.versions)
            for entry in self._catalog.entries()
            if entry.versions
        }
        return Counts(self._loader.counts.versions, requests, waiting, self._budget.held_by_kind())

    async def _total(self) -> Counts:
        """Raises CountsUnknown."""
        try:
            return await self._questions.ask(lambda number: self._channel.say(AskTotal(number=number)), TOTAL_WITHIN_S)
        except TimeoutError as err:
            raise CountsUnknown("the counts of all workers are not available now; try again") from err

    def _lost(self, served: Served, err: BaseException) -> None:
        log.error("the runner of %s failed", served.bundle, exc_info=err, extra=event("runner_ended"))
        self._catalog.withdraw(served, "its runner failed; see the server's log")
        self._channel.say(Broken(reason=f"the runner of {served.bundle} failed: {err!r}"))

    async def _drain(self, delay_s: float) -> None:
        """Not ready; after the delay, new calls get UNAVAILABLE; accepted ones finish within the grace period."""
        self._readiness.drain()
        if self._listener is not None:
            await asyncio.sleep(delay_s)
            await self._listener.turn_away()
            await self._gate.close(self._settings.grace_s)
            await self._listener.stop()
        self._decoder.close()
        await self._catalog.close()


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
