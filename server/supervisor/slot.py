"""A slot keeps one worker ready, and replaces it if it cannot go on.

The replacement starts before the old worker ends, if the memory allows it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from vouch.server.counting.counts import Counts, total
from vouch.server.errors import StartFailed
from vouch.server.lineup.lineup import LineUp
from vouch.server.link.messages import Applied
from vouch.server.logs import event
from vouch.server.supervisor.backoff import Backoff
from vouch.server.supervisor.launch import Launcher
from vouch.server.supervisor.memory import has_room_for
from vouch.server.supervisor.states import Limits, State
from vouch.server.supervisor.worker_process import WorkerGone, WorkerProcess

log = logging.getLogger("vouch.server")


@dataclass(frozen=True)
class Restarts:
    """How workers are replaced."""

    first_s: float = 0.25
    """Pause before a worker is replaced; twice as long after each that did not last."""
    most_s: float = 16.0
    most_in_vain: int = 7
    """Failed starts in a row before the server gives up: 16 s of pauses. A worker that ends after it was ready is
    always replaced: the cause may be a caller, who must not be able to end a server."""


@dataclass(frozen=True)
class Around:
    """What a slot needs from the pool."""

    line_up: Callable[[], LineUp]
    """What is to be served now."""
    applied: Callable[[WorkerProcess, Applied], bool]
    """Called with the result of a line-up; returns whether the worker may take calls now."""
    died: Callable[[WorkerProcess], None]
    """Called when a worker ended while it loaded a version."""
    changed: Callable[[], None]
    """Called when a slot has another ready worker, or none any more."""
    total: Callable[[], Awaitable[Counts]]
    """The counts of all workers."""
    give_up: Callable[[str], None]
    """Called with the reason when no worker can be started."""


class _ForAVersion(StartFailed):
    """A worker did not start because it could not load a version. That never ends the server."""


class Slot:
    """Filled by `keep`, until `stop`."""

    def __init__(self, launcher: Launcher, around: Around, limits: Limits, restarts: Restarts) -> None:
        self._launcher = launcher
        self._around = around
        self._limits = limits
        self._restarts = restarts
        self.restarts = 0
        """Workers that ended unexpectedly, or were replaced."""
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the first worker takes calls; fails with the reason if it does not start."""
        self.started.add_done_callback(_retrieved)
        self.worker: WorkerProcess | None = None
        """The worker that takes calls, or did until a moment ago."""
        self._all: set[WorkerProcess] = set()
        self._ended = Counts()
        """Counts of the workers that have ended."""
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._asked: set[asyncio.Task[None]] = set()
        self._replace_for = ""

    @property
    def ready(self) -> bool:
        """Whether a worker takes calls here."""
        return self.worker is not None and self.worker.state is State.READY

    def is_behind(self, line_up: LineUp) -> bool:
        """Whether its worker has not been sent this line-up yet."""
        return self.worker is not None and self.ready and self.worker.asked < line_up.number

    async def keep(self) -> None:
        """Keeps a worker ready, replacing it when needed, until `stop`."""
        loop, in_vain = asyncio.get_running_loop(), 0
        backoff = Backoff(self._restarts.first_s, self._restarts.most_s)
        while not self._stopping.is_set():
            began = loop.time()
            try:
                worker = await self._fill()
                in_vain = 0
                why = await self._needs_another(worker)
            except _ForAVersion as err:
                why = f"did not start: {err}"
            except StartFailed as err:
                why = f"did not start: {err}"
                in_vain += 1
                if not self._is_worth_trying(in_vain, err):
                    return
            if not self._stopping.is_set():
                self.restarts += 1
                await self._pause(why, backoff.next_s(loop.time() - began))

    async def follow(self, line_up: LineUp) -> None:
        """Sends its worker the line-up; does nothing if there is no ready worker."""
        if (worker := self.worker) is not None and self.ready:
            with suppress(WorkerGone):  # `keep` sees it too
                applied = await worker.follow(line_up)
                if applied.number == line_up.number:  # else the sender of the later line-up handles it
                    self._around.applied(worker, applied)

    def replace(self, reason: str) -> None:
        """Replaces its worker."""
        self._replace_for = self._replace_for or reason
        self._news.set()

    async def counts(self) -> Counts:
        """Counts of this slot's workers, including those that have ended."""
        ended = self._ended  # read before the others are asked, so that one that ends meanwhile counts only once
        return total([ended, *await asyncio.gather(*(worker.ask_counts() for worker in tuple(self._all)))])

    async def stop(self, delay_s: float) -> None:
        """Drains all its workers and waits until they have ended.

        Args:
            delay_s: how long they still take new calls.
        """
        self._stopping.set()
        self._news.set()
        for worker in self._all:
            worker.drain(delay_s)
        while self._all:
            await asyncio.wait({worker.ended for worker in self._all})  # their states have limits

    def kill(self) -> None:
        """Kills its workers immediately."""
        for worker in self._all:
            worker.kill()

    async def _fill(self) -> WorkerProcess:
        """Starts a worker that replaces the old one. Raises StartFailed."""
        old = self.worker
        if old is not None and not has_room_for(old.pid):
            self._let_go(old)
            await asyncio.wait({old.ended})  # its states have limits
            old = None
        worker = await WorkerProcess.launch(self._launcher, self._limits)
        self._all.add(worker)
        worker.on_change = self._news.set
        worker.on_ask_total = lambda number: self._ask_total(worker, number)
        worker.ended.add_done_callback(lambda _: self._gone(worker))
        try:
            await self._prepare(worker)
        except BaseException:
            worker.drain()
            self._around.changed()
            raise
        self.worker, self._replace_for = worker, ""
        if old is not None:
            old.drain()
        if not self.started.done():
            self.started.set_result(None)
        self._around.changed()
        return worker

    async def _prepare(self, worker: WorkerProcess) -> None:
        """Makes it load the line-up, and then take calls. Raises StartFailed."""
        if self._stopping.is_set():
            raise StartFailed("the server is stopping")
        try:
            while not self._around.applied(worker, await worker.follow(self._around.line_up())):
                if self._around.line_up().number == worker.number:
                    raise _ForAVersion("it cannot serve what the others do")
            await worker.listen()
        except WorkerGone as err:
            self._judge(worker)
            kind = StartFailed if worker.loading is None else _ForAVersion
            raise kind(worker.problem or f"it {err}") from err

    def _judge(self, worker: WorkerProcess) -> None:
        """The worker ended; if it was loading a version, that version is the suspect."""
        if worker.loading is not None and not self._stopping.is_set():
            self._around.died(worker)

    def _is_worth_trying(self, in_vain: int, err: StartFailed) -> bool:
        """Whether to start another worker after `in_vain` failed starts in a row."""
        if not self.started.done():
            self.started.set_exception(err)
            return False
        if in_vain > self._restarts.most_in_vain:
            self._around.give_up(f"a worker did not start {in_vain} times in a row; the last one: {err}")
            return False
        return True

    async def _needs_another(self, worker: WorkerProcess) -> str:
        """Waits until this worker must be replaced; returns the reason, or empty when the slot is stopped."""
        while not self._stopping.is_set():
            if worker.state is not State.READY:
                self._let_go(worker)
                how = await worker.how()
                self._judge(worker)
                return how
            if reason := self._replace_for or worker.broken:
                log.error("a worker is replaced: %s", reason, extra=event("worker_replaced", reason=reason))
                return f"is replaced: {reason}"
            self._news.clear()
            await self._news.wait()
        return ""

    def _let_go(self, worker: WorkerProcess) -> None:
        """Drains a worker that is no longer the slot's ready one."""
        worker.drain()
        self.worker = None
        self._around.changed()

    def _gone(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        worker.counts.waiting_images.clear()
        worker.counts.held_bytes.clear()
        self._ended = total([self._ended, worker.counts])

    async def _pause(self, how: str, pause_s: float) -> None:
        log.error(
            "a worker %s; another replaces it in %g s",
            *(how, pause_s),
            extra=event("worker_ended", reason=how, pause_s=pause_s),
        )
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _ask_total(self, worker: WorkerProcess, number: int) -> None:
        asked = asyncio.create_task(self._tell_total(worker, number), name="tell the total")
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)

    async def _tell_total(self, worker: WorkerProcess, number: int) -> None:
        worker.tell_total(number, await self._around.total())


def _retrieved(started: "asyncio.Future[None]") -> None:
    """Reads the error, or asyncio would log it if nobody else reads it."""
    if not started.cancelled():
        started.exception()
