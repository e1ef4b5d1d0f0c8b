"""A worker's place: the process that fills it, what it is told, and who takes its place when it has ended."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from server.control import (
    AskTotal,
    Broken,
    Channel,
    Order,
    Ping,
    Pong,
    Ready,
    Serve,
    Serving,
    Stop,
    Stopped,
    Total,
    channel,
)
from server.counts import Counts, total
from server.errors import StartFailed
from server.logs import event
from server.questions import Questions
from server.workplace import Workplace

log = logging.getLogger("vouch.server")

START_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.25
"""Before a worker is replaced; twice as long after each that did not last."""
MAX_TRIES = 7
"""Workers that end soon after their start, one after the other, before the place is given up: 16 s of pauses."""
LASTED_S = 60.0
"""A worker that has lived so long ended for a reason of its own."""
PING_INTERVAL_S = 1.0
SILENCE_S = 10.0
"""A worker that does not answer for so long does not answer callers either."""
COUNTS_WITHIN_S = 1.0
"""A worker that does not say in time what it has counted counts with what it said last."""
STOP_SLACK_S = 6.0
"""For what has to be closed when all calls have ended."""


@dataclass(frozen=True)
class Company:
    """What a worker's place needs of those around it."""

    known: Callable[[], list[Order]]
    """What a new worker is told first."""
    give_up: Callable[[str], None]
    """Told the reason when the place cannot be filled."""
    total: Callable[[], Awaitable[Counts]]
    """What all workers have counted."""


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
        self._stopping = False
        self._restarts = 0
        self._serves = False
        self._problem = ""
        self._heard_at = 0.0
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
            self._stopping = True
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
        self.tell(Stop())

    async def stop(self, within_s: float) -> None:
        """Has the worker drain; ends it where that takes longer than `within_s`, and some seconds for closing."""
        self._stopping = True
        if self._channel is not None:
            self._channel.say(Stop())
        if self._process is not None and self._keeping is not None:
            _, unfinished = await asyncio.wait((self._keeping,), timeout=within_s + STOP_SLACK_S)
            if unfinished:
                self._process.kill()
                await asyncio.wait((self._keeping,))

    async def counts(self) -> Counts:
        """What the workers of this place have counted, those that have ended included; the one that is there is asked
        and has `COUNTS_WITHIN_S` to answer.
        """
        if self._ready.is_set():
            with suppress(TimeoutError):
                await self._questions.ask(lambda number: self.tell(Ping(number=number)), COUNTS_WITHIN_S)
        return total([self._before, self._said])

    async def _fill(self) -> asyncio.Task[None]:
        ours, theirs = socket.socketpair()
        with theirs:
            launch = self._workplace(theirs.fileno())
            self._process = await asyncio.create_subprocess_exec(
                *launch.command,
                env=launch.environment,
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=2,  # standard output is the supervisor's
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor alone
            )
        self._channel = await channel(ours)
        return asyncio.create_task(self._hear(self._channel), name="hear a worker")

    async def _hear(self, worker: Channel) -> None:
        async for report in worker.heard():
            match report:
                case Ready(problem=problem) if problem:
                    self._problem = problem
                case Ready():
                    for order in self._company.known():
                        worker.say(order)
                    self._ready.set()
                case Serving():
                    self._answered(str(report.path), report.problem)
                case Pong():
                    self._heard_at = asyncio.get_running_loop().time()
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
        self._questions.end()
        for path in tuple(self._answers):
            self._answered(path, None)
        await worker.close()

    async def _tell_total(self, worker: Channel, number: int) -> None:
        worker.say(Total(number=number, counts=await self._company.total()))

    def _answered(self, path: str, problem: str | None) -> None:
        self._serves = self._serves or problem == ""
        answer = self._answers.pop(path, None)
        if answer is not None and not answer.done():  # whoever asked may no longer wait
            answer.set_result(problem)
        elif problem:
            log.error(
                "a worker does not serve %s: %s",
                *(path, problem),
                extra=event("worker_trouble", path=path, reason=problem),
            )

    async def _keep(self, hearing: asyncio.Task[None]) -> None:
        """Fills the place again whenever its worker has ended, until the crew stops."""
        loop, pause, tries = asyncio.get_running_loop(), FIRST_PAUSE_S, 0
        began = loop.time()
        while True:
            assert self._process is not None
            await self._watch(hearing, self._process)
            code = await self._process.wait()
            if self._stopping:
                return
            self._restarts += 1
            tries = 1 if loop.time() - began > LASTED_S else tries + 1
            if tries > MAX_TRIES:
                self._company.give_up(
                    f"a worker ended {tries} times in a row soon after its start, the last time with {code}"
                )
                return
            pause = FIRST_PAUSE_S * 2 ** (tries - 1)
            log.error(
                "a worker ended with %d; another takes its place in %g s",
                *(code, pause),
                extra=event("worker_ended", code=code, pause_s=pause),
            )
            await asyncio.sleep(pause)
            if self._stopping:
                return
            began = loop.time()
            hearing = await self._fill()

    async def _watch(self, hearing: asyncio.Task[None], process: asyncio.subprocess.Process) -> None:
        """Until the worker is gone; one that gives no sign of life is ended."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while not (await asyncio.wait((hearing,), timeout=PING_INTERVAL_S))[0]:
            if self._ready.is_set() and not self._stopping and loop.time() - self._heard_at > SILENCE_S:
                log.error(
                    "a worker gave no sign of life for %g s and is ended", SILENCE_S, extra=event("worker_silent")
                )
                with suppress(ProcessLookupError):
                    process.kill()
            self.tell(Ping())
