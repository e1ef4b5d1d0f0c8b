"""A worker's place: the process that fills it, what it is told, and who takes its place when it has ended."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from vouch.server.counting.counts import Counts, total
from vouch.server.errors import StartFailed
from vouch.server.link.channel import Channel, channel
from vouch.server.link.messages import AskTotal, Broken, Order, Ping, Pong, Ready, Serve, Serving, Stop, Stopped, Total
from vouch.server.link.questions import Questions
from vouch.server.logs import event
from vouch.server.supervisor.launch import Workplace
from vouch.server.supervisor.watchdog import LOOK_INTERVAL_S, Watchdog

log = logging.getLogger("vouch.server")

START_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.25
"""Before a worker is replaced; twice as long after each that did not last."""
LONGEST_PAUSE_S = 16.0
MAX_TRIES = 7
"""Workers that cannot start, one after the other, before the place is given up: 16 s of pauses. One that has started
and ends is always replaced: what made it end may come from callers, and they must not end a server.
"""
LASTED_S = 60.0
"""A worker that has lived so long ended for a reason of its own."""
COUNTS_WITHIN_S = 1.0
"""A worker that does not say in time what it has counted counts with what it said last."""
TELL_AGAIN_AFTER_S = 5.0
"""A worker that could not serve what the others do is told again: what kept it may have passed."""
STOP_SLACK_S = 6.0
"""For what has to be closed when all calls have ended."""
KILLED_WITHIN_S = 10.0
"""For the end of a process that was killed to be noticed; a busy machine takes its time."""


@dataclass(frozen=True)
class Company:
    """What a worker's place needs of those around it."""

    known: Callable[[], list[Order]]
    """What a new worker is told first."""
    give_up: Callable[[str], None]
    """Told the reason when the place cannot be filled."""
    total: Callable[[], Awaitable[Counts]]
    """What all workers have counted."""
    drain_s: float
    """How long a worker that drains may take, less some seconds for closing."""


class Member:
    """A worker's place: whoever fills it is a process with a channel."""

    def __init__(self, workplace: Workplace, company: Company) -> None:
        self._workplace = workplace
        self._company = company
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._ready = asyncio.Event()
        self._answers: dict[str, asyncio.Future[str | None]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._restarts = 0
        self._serves = False
        self._has_started = False
        self._problem = ""
        self._watchdog: Watchdog | None = None
        self._questions = Questions()
        self._before = Counts()
        self._said = Counts()
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        """Whether somebody fills the place."""
        return self._ready.is_set()

    @property
    def ready(self) -> bool:
        """Whether whoever fills it serves at least one model."""
        return self._serves

    @property
    def restarts(self) -> int:
        """How many of its workers have ended unasked, or had to."""
        return self._restarts

    async def start(self) -> None:
        """Raises StartFailed."""
        hearing = await self._fill()
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait((ready, hearing), timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        self._keeping = asyncio.create_task(self._keep(hearing), name="worker")
        if not self._ready.is_set():
            self._stopping.set()
            raise StartFailed(self._problem or "a worker did not start; its own words stand above")

    def tell(self, order: Order) -> None:
        """Passes an order on; a worker that is being replaced will be told with all else."""
        if self._channel is not None and self._ready.is_set():
            self._channel.say(order)

    async def serve(self, order: Serve) -> str | None:
        """Has the worker serve a bundle; why it does not, or empty. None where nobody is there, or no longer is."""
        if not self._ready.is_set():
            return None
        answer = self._answers[str(order.path)] = asyncio.get_running_loop().create_future()
        self.tell(order)
        problem: str | None = await answer
        return problem

    def replace(self, reason: str) -> None:
        """Has the worker drain and another take its place."""
        log.error("a worker is replaced: %s", reason, extra=event("worker_replaced", reason=reason))
        self._serves = False
        self.tell(Stop())

    async def stop(self, delay_s: float, grace_s: float) -> None:
        """Has the worker drain; ends it where that takes longer than it may, and some seconds for closing.

        Args:
            delay_s: for how long it still takes new calls.
            grace_s: how long accepted calls have then.
        """
        self._stopping.set()
        if self._channel is not None:
            self._channel.say(Stop(delay_s=delay_s))
        if self._keeping is not None:
            _, unfinished = await asyncio.wait((self._keeping,), timeout=delay_s + grace_s + STOP_SLACK_S)
            if unfinished:
                self.kill()
                await asyncio.wait((self._keeping,), timeout=KILLED_WITHIN_S)

    def kill(self) -> None:
        """Ends the worker at once, if there is one."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def counts(self) -> Counts:
        """What the workers of this place have counted, those that have ended included; the one that is there is asked
        and has `COUNTS_WITHIN_S` to answer.
        """
        if self._ready.is_set():
            with suppress(TimeoutError):
                await self._questions.ask(lambda number: self.tell(Ping(number=number)), COUNTS_WITHIN_S)
        return total([self._before, self._said])

    async def _fill(self) -> asyncio.Task[None]:
        """Raises StartFailed."""
        self._has_started = False
        try:
            ours = await self._launch()
            self._channel = await channel(ours)
        except OSError as err:
            raise StartFailed(f"a worker cannot be started: {err}") from err
        return asyncio.create_task(self._hear(self._channel), name="hear a worker")

    async def _launch(self) -> socket.socket:
        """Starts a process; this side's end of its channel. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            launch = self._workplace(theirs.fileno())
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *launch.command,
                    env=launch.environment,
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=2,  # standard output is the supervisor's
                    start_new_session=True,  # Ctrl-C in a terminal is for the supervisor alone
                )
            except OSError:
                ours.close()
                raise
        return ours

    async def _hear(self, worker: Channel) -> None:
        async for report in worker.heard():
            match report:
                case Ready(problem=problem) if problem:
                    self._problem = problem
                case Ready():
                    for order in self._company.known():
                        worker.say(order)
                    self._ready.set()
                    self._has_started = True
                case Serving():
                    self._serves = self._serves or not report.problem
                    if not self._answered(str(report.path), report.problem) and report.problem:
                        self._tell_again_later(worker, report)
                case Pong():
                    if self._watchdog is not None:
                        self._watchdog.heard(asyncio.get_running_loop().time())
                    self._said = report.counts
                    self._questions.answered(report.number, report.counts)
                case AskTotal():
                    telling = asyncio.create_task(self._tell_total(worker, report.number), name="tell the total")
                    self._telling.add(telling)
                    telling.add_done_callback(self._telling.discard)
                case Stopped():
                    self._said = report.counts
                case Broken():
                    self.replace(report.reason)
        self._ready.clear()
        self._serves = False
        self._before, self._said = total([self._before, self._said]), Counts()
        self._before.waiting_images.clear()
        self._before.held_bytes.clear()
        self._questions.end()
        for path in tuple(self._answers):
            self._answered(path, None)
        await worker.close()

    async def _tell_total(self, worker: Channel, number: int) -> None:
        worker.say(Total(number=number, counts=await self._company.total()))

    def _answered(self, path: str, problem: str | None) -> bool:
        """Whether anybody waited for it."""
        answer = self._answers.pop(path, None)
        if answer is None or answer.done():
            return False
        answer.set_result(problem)
        return True

    def _tell_again_later(self, worker: Channel, report: Serving) -> None:
        """It was told what the others serve, and cannot: unless something newer is served by then."""
        log.error(
            "a worker does not serve %s: %s; it is told again in %g s",
            *(report.path, report.problem, TELL_AGAIN_AFTER_S),
            extra=event("worker_trouble", path=report.path, reason=report.problem),
        )

        def tell_again() -> None:
            for order in self._company.known():
                if isinstance(order, Serve) and order.path == report.path:
                    worker.say(order)

        asyncio.get_running_loop().call_later(TELL_AGAIN_AFTER_S, tell_again)

    async def _keep(self, hearing: asyncio.Task[None]) -> None:
        """Fills the place again whenever its worker has ended, until the crew stops."""
        loop, tries, in_vain, ended = asyncio.get_running_loop(), 0, 0, self._ended(hearing)
        while True:
            began = loop.time()
            how = await ended
            if self._stopping.is_set():
                return
            self._restarts += 1
            tries = 1 if loop.time() - began > LASTED_S else tries + 1
            in_vain = 0 if self._has_started else in_vain + 1
            if in_vain > MAX_TRIES:
                self._company.give_up(f"a worker did not start {in_vain} times in a row; the last one {how}")
                return
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (tries - 1))
            log.error(
                "a worker %s; another takes its place in %g s",
                *(how, pause),
                extra=event("worker_ended", reason=how, pause_s=pause),
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return
            ended = self._filled()

    async def _filled(self) -> str:
        """Fills the place; returns how that ended, when it has."""
        try:
            hearing = await self._fill()
        except StartFailed as err:
            return f"did not start: {err}"
        if self._stopping.is_set():
            self.kill()  # it came too late to be told
        return await self._ended(hearing)

    async def _ended(self, hearing: asyncio.Task[None]) -> str:
        """How the worker ended, when it has; one that gives no sign of life is ended."""
        assert self._process is not None
        loop, process = asyncio.get_running_loop(), self._process
        self._watchdog = Watchdog(process.pid, loop.time())
        while not (await asyncio.wait((hearing,), timeout=LOOK_INTERVAL_S))[0]:
            trouble = self._watchdog.trouble(loop.time())
            if trouble and self._ready.is_set() and not self._stopping.is_set():
                log.error("a worker %s and is ended", trouble, extra=event("worker_silent", reason=trouble))
                self.kill()
            self.tell(Ping())
        return f"ended with {await self._exit_code(process)}"

    async def _exit_code(self, process: asyncio.subprocess.Process) -> int:
        """Of a worker that is not heard any more: it has drained or drains now, and is ended where that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._company.drain_s + STOP_SLACK_S):
                return await process.wait()
        log.error("a worker that is not heard any more is ended", extra=event("worker_silent"))
        process.kill()
        return await process.wait()
