"""The workers of a server: all serve the line-up, and any of them can report the counts of all."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from vouch.server.counting.counts import Counts, total
from vouch.server.errors import StartFailed
from vouch.server.link.messages import Applied, Problem
from vouch.server.logs import event
from vouch.server.supervisor.backoff import Backoff
from vouch.server.supervisor.launch import Launcher
from vouch.server.supervisor.published import Published, Running
from vouch.server.supervisor.slot import Around, Restarts, Slot
from vouch.server.supervisor.states import Limits
from vouch.server.supervisor.worker_process import WorkerProcess

log = logging.getLogger("vouch.server")

ENDED_S = 1.0
"""Limit for the tasks to end after all workers have ended."""


@dataclass(frozen=True)
class Retries:
    """Pauses when workers load a version: between tries, if the failure may be temporary."""

    first_s: float = 1.0
    most_s: float = 60.0
    alone_s: float = 10.0
    """How long only one worker loads a new version, before the others do too."""


class Pool:
    """Belongs to one event loop."""

    def __init__(
        self,
        launchers: Sequence[Launcher],
        published: Published,
        limits: Limits | None = None,
        restarts: Restarts | None = None,
        retries: Retries | None = None,
    ) -> None:
        retries = retries or Retries()
        around = Around(
            line_up=lambda: self._published.line_up,
            applied=self._applied,
            died=self._died,
            changed=self._changed,
            total=self.counts,
            give_up=self._give_up,
        )
        self._published = published
        self._slots = [Slot(one, around, limits or Limits(), restarts or Restarts()) for one in launchers]
        self._news = asyncio.Event()
        self._given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._keeping: list[asyncio.Task[None]] = []
        self._spreading: asyncio.Task[None] | None = None
        self._alone_s = retries.alone_s
        self._retry = Backoff(retries.first_s, retries.most_s)
        self._retrying: asyncio.TimerHandle | None = None
        self._passing: set[WorkerProcess] = set()
        """Workers that could not load a version for a reason that may be temporary."""
        published.on_change = self._news.set

    async def start(self) -> None:
        """Starts all of them; returns when they take calls.

        Raises:
            StartFailed: one of them does not start.
        """
        self._keeping = [self._watched(slot.keep(), f"worker {place}") for place, slot in enumerate(self._slots)]
        self._spreading = self._watched(self._spread(), "spread the line-up")
        started = asyncio.gather(*(slot.started for slot in self._slots), return_exceptions=True)
        await asyncio.wait((started, self._given_up), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            raise StartFailed(self._given_up.result())
        for problem in started.result():
            if problem is not None:
                raise problem

    async def given_up(self) -> str:
        """Waits until workers can no longer be kept ready; returns the reason."""
        reason: str = await asyncio.shield(self._given_up)
        return reason

    async def stop(self, delay_s: float) -> None:
        """Drains all workers and waits; those that exceed their time limit are killed.

        Args:
            delay_s: how long they still take new calls.
        """
        await asyncio.gather(*(slot.stop(delay_s) for slot in self._slots))
        tasks = [*self._keeping, *([self._spreading] if self._spreading else [])]
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=ENDED_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(slot.stop(0.0) for slot in self._slots))  # one that was started meanwhile
        if self._retrying is not None:
            self._retrying.cancel()

    def kill(self) -> None:
        """Kills all workers immediately; calls in progress fail."""
        for slot in self._slots:
            slot.kill()

    @property
    def workers(self) -> int:
        """Number of workers that take calls."""
        return sum(slot.ready for slot in self._slots)

    @property
    def ready_workers(self) -> int:
        """Number of these that serve at least one model."""
        return sum(slot.ready and slot.worker is not None and bool(slot.worker.running) for slot in self._slots)

    @property
    def restarts(self) -> int:
        """Workers that ended unexpectedly, or were replaced."""
        return sum(slot.restarts for slot in self._slots)

    async def counts(self) -> Counts:
        """The counts of all workers, including those that have ended."""
        return total(await asyncio.gather(*(slot.counts() for slot in self._slots)))

    async def _spread(self) -> None:
        """Sends each line-up to every worker. While something is served, only one worker loads a new version first:
        if loading crashes that worker, the others are unaffected. A slow or stopped worker does not delay the others.
        """
        loop = asyncio.get_running_loop()
        following: set[asyncio.Task[None]] = set()
        last_s = -self._alone_s
        while True:
            self._news.clear()
            line_up = self._published.line_up
            behind = [slot for slot in self._slots if slot.is_behind(line_up)]
            running = self._running()  # where nothing is served yet, there is nothing to lose
            is_new = bool(running) and not {(name, one.version) for name, one in line_up.versions()} <= running
            if is_new:
                is_alone = bool(following) and loop.time() - last_s < self._alone_s
                behind = [] if is_alone else behind[:1]
            for slot in behind:
                last_s = loop.time()
                task = asyncio.create_task(slot.follow(line_up), name="follow the line-up")
                following.add(task)
                task.add_done_callback(self._followed)
            news = asyncio.create_task(self._news.wait(), name="wait for news")
            await asyncio.wait({news, *following}, timeout=self._alone_s / 10, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            following = {task for task in following if not task.done()}

    def _followed(self, task: asyncio.Task[None]) -> None:
        self._task_ended(task)
        self._news.set()

    def _running(self, but: WorkerProcess | None = None) -> Running:
        """What the ready workers serve."""
        ready = (slot.worker for slot in self._slots if slot.ready and slot.worker is not but)
        return frozenset[tuple[str, int]]().union(*(worker.running for worker in ready if worker is not None))

    def _applied(self, worker: WorkerProcess, applied: Applied) -> bool:
        """Whether the worker may take calls now: it serves all that others do, and there is no newer line-up."""
        elsewhere = self._running(but=worker)
        for one in applied.problems:
            if not one.passing and (one.name, one.version) not in worker.judged:  # it says so with every line-up
                worker.judged.add((one.name, one.version))
                self._published.died(one.name, one.version, one.reason, elsewhere=(one.name, one.version) in elsewhere)
        self._published.loaded(worker.running)
        lost = [one for one in applied.problems if (one.name, one.version) in elsewhere]
        passing = [one for one in applied.problems if one.passing]
        slot = next((slot for slot in self._slots if slot.ready and slot.worker is worker), None)
        if passing and (slot is not None or not lost):  # else it is ended, and another one starts
            self._try_again_later(worker, passing[0])
        elif not passing:
            self._passing.discard(worker)
            self._retry.tries = 0
        if slot is not None and lost and not lost[0].passing:
            slot.replace(f"it does not serve {lost[0].name} version {lost[0].version}: {lost[0].reason}")
        self._published.run(self._running() | worker.running)
        return not lost and self._published.line_up.number == worker.number

    def _died(self, worker: WorkerProcess) -> None:
        """It ended while it loaded a version."""
        assert worker.loading is not None
        name, version = worker.loading
        elsewhere = worker.loading in self._running(but=worker)
        how = worker.ended.result() if worker.ended.done() else "closed its channel"
        reason = f"a worker {how} while it loaded this version"
        self._published.died(name, version, reason, killed=worker.was_killed, elsewhere=elsewhere)

    def _changed(self) -> None:
        """A slot has another ready worker, or none any more."""
        self._published.run(self._running())
        self._news.set()

    def _try_again_later(self, worker: WorkerProcess, first: Problem) -> None:
        self._passing.add(worker)
        pause_s = self._retry.next_s()
        log.error(
            "a worker does not serve %s version %d: %s; it tries again in %g s",
            *(first.name, first.version, first.reason, pause_s),
            extra=event("worker_trouble", model=first.name, version=first.version, reason=first.reason),
        )
        if self._retrying is None:
            self._retrying = asyncio.get_running_loop().call_later(pause_s, self._try_again)

    def _try_again(self) -> None:
        self._retrying = None
        for worker in self._passing:
            worker.asked = 0
        self._passing.clear()
        self._news.set()

    def _give_up(self, reason: str) -> None:
        if not self._given_up.done():
            self._given_up.set_result(reason)

    def _watched(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure ends the server, which would otherwise silently stop working."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (err := task.exception()) is not None:
            log.error("the task %r failed", task.get_name(), exc_info=err, extra=event("task_ended"))
            self._give_up(f"the task {task.get_name()!r} failed: {err!r}")
