"""One worker process: its state, the time limits of its states, and the messages it sends."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

from vouch.server.counting.counts import Counts
from vouch.server.errors import StartFailed
from vouch.server.lineup.lineup import LineUp
from vouch.server.link.channel import Channel, Ends, channel
from vouch.server.link.messages import (
    Applied,
    AskTotal,
    Broken,
    Follow,
    Listen,
    Listening,
    Loading,
    Ping,
    Pong,
    Stop,
    Stopped,
    Total,
)
from vouch.server.link.questions import Questions
from vouch.server.logs import event
from vouch.server.supervisor.launch import Launch, Launcher
from vouch.server.supervisor.states import NEXT, Limits, State
from vouch.server.supervisor.watchdog import Watchdog

Answer = TypeVar("Answer")

log = logging.getLogger("vouch.server")


class WorkerGone(Exception):
    """The worker ended or takes no more calls, so it will not reply."""


class WorkerProcess:
    """Made by `launch`. `ended` is done when the process has ended; its result is how."""

    def __init__(self, process: asyncio.subprocess.Process, link: Channel, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.state = State.STARTING
        self.pid = process.pid
        self.loading: tuple[str, int] | None = None
        """The model and version it is loading, until it reports the result."""
        self.number = 0
        """Number of the line-up it has applied."""
        self.asked = 0
        """Number of the line-up it was last sent."""
        self.judged: set[tuple[str, int]] = set()
        """Versions that it could not load, and whose failure was already counted."""
        self.running: frozenset[tuple[str, int]] = frozenset()
        """Models and versions that it serves."""
        self.problem = ""
        """Why it cannot take calls; empty while it can."""
        self.broken = ""
        """Why it asks to be replaced; empty while it does not."""
        self.counts = Counts()
        """Its last reported counts."""
        self.ended: asyncio.Future[str] = loop.create_future()
        self._left: asyncio.Future[None] = loop.create_future()
        """Done when it takes no more calls, for any reason."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when its state changes, or it is broken."""
        self.on_ask_total: Callable[[int], None] = lambda number: None
        """Called with the number of its question when it asks for the counts of all workers."""
        self._process = process
        self._link = link
        self._limits = limits
        self._ends_at = loop.time() + limits.start_s
        self._watchdog = Watchdog(process.pid, loop.time(), limits)
        self._questions = Questions()
        self._waiting: list[tuple[int, asyncio.Future[Applied]]] = []
        self._listening: asyncio.Future[Listening] = loop.create_future()
        self._hears = True
        self._killed_for = ""
        self._exit_code: int | None = None
        self._watching = asyncio.create_task(self._watch(), name=f"watch worker {process.pid}")

    @classmethod
    async def launch(cls, launcher: Launcher, limits: Limits) -> Self:
        """Starts a new process, in the state STARTING.

        Raises:
            StartFailed: no process could be started.
        """
        try:
            ours, theirs = Ends.pair()
        except OSError as err:  # no file descriptors are left
            raise StartFailed(f"a worker cannot be started: {err}") from err
        try:
            process = await _started(launcher(theirs.descriptors), theirs.descriptors)
            return cls(process, await channel(ours), limits)
        except OSError as err:
            ours.close()
            raise StartFailed(f"a worker cannot be started: {err}") from err
        finally:
            theirs.close()

    async def how(self) -> str:
        """How it ended; waits a moment, since a process ends shortly after its channel closes."""
        await asyncio.wait((self.ended,), timeout=self._limits.heard_s)
        return self.ended.result() if self.ended.done() else "closed its channel"

    @property
    def was_killed(self) -> bool:
        """Whether it was killed from outside, perhaps because memory ran out."""
        return self._exit_code == -signal.SIGKILL and not self._killed_for

    @property
    def is_alive(self) -> bool:
        """Whether it takes calls, or is about to."""
        return self.state in (State.STARTING, State.READY)

    async def follow(self, line_up: LineUp) -> Applied:
        """Sends it a line-up; returns its result, or that of a later line-up that overtook it.

        Raises:
            WorkerGone: it ended meanwhile.
        """
        answer: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self._waiting.append((line_up.number, answer))
        self.asked = line_up.number
        self._link.say(Follow(line_up=line_up))
        applied = await self._unless_gone(answer)
        if applied.number != line_up.number:
            return applied
        failed = {(one.name, one.version) for one in applied.problems}
        wanted = {(name, version.version) for name, version in line_up.versions()}
        lost = {name for name, _ in failed}
        kept = {one for one in self.running if one[0] in lost and one not in failed}  # still served instead
        self.number, self.running = line_up.number, frozenset((wanted - failed) | kept)
        return applied

    async def listen(self) -> None:
        """Makes it take calls.

        Raises:
            StartFailed: it cannot.
            WorkerGone: it ended meanwhile.
        """
        self._link.say(Listen())
        if problem := (await self._unless_gone(self._listening)).problem:
            raise StartFailed(problem)

    async def ask_counts(self) -> Counts:
        """Its counts, or the last reported ones if it does not reply in time."""
        if self._hears:
            with suppress(TimeoutError):
                await self._questions.ask(lambda number: self._link.say(Ping(number=number)), self._limits.count_s)
        return self.counts

    def tell_total(self, number: int, counts: Counts) -> None:
        """Sends it the counts of all workers, as it asked."""
        self._link.say(Total(number=number, counts=counts))

    def drain(self, delay_s: float = 0.0) -> None:
        """Makes it stop taking calls after a delay, and end when its calls are finished."""
        if self.is_alive:
            self._link.say(Stop(delay_s=delay_s))
            self._enter(State.DRAINING)
            self._ends_at += delay_s

    def kill(self, reason: str = "") -> None:
        """Kills it immediately.

        Args:
            reason: for the log; empty if the kill was requested.
        """
        self._killed_for = self._killed_for or reason
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _unless_gone(self, answer: "asyncio.Future[Answer]") -> Answer:
        """Raises WorkerGone. The limits of the states limit this wait."""
        await asyncio.wait((answer, self._left), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise WorkerGone(await self.how())
        return answer.result()

    def _enter(self, state: State) -> None:
        if state is self.state:
            return
        assert state in NEXT[self.state], f"{self.state} is followed by {state}"
        self.state = state
        if not self.is_alive and not self._left.done():
            self._left.set_result(None)
        if state is State.DRAINING:
            self._ends_at = asyncio.get_running_loop().time() + self._limits.drain_s + self._limits.close_s
        self.on_change()

    async def _watch(self) -> None:
        """Runs until the process has ended; kills it if it stays in a state for too long."""
        loop = asyncio.get_running_loop()
        exited = asyncio.ensure_future(self._process.wait())
        hearing = asyncio.create_task(self._hear(), name=f"hear worker {self.pid}")
        while not (await asyncio.wait((exited,), timeout=self._limits.look_s))[0]:
            if trouble := self._trouble(loop.time()):
                log.error("a worker %s and is killed", trouble, extra=event("worker_silent", reason=trouble))
                self.kill(trouble)
                await asyncio.wait((exited,), timeout=self._limits.end_s)
                break
            self._link.say(Ping())
        # Its last messages: what it was loading, and its counts.
        await asyncio.wait((hearing,), timeout=self._limits.end_s)
        hearing.cancel()
        self._exit_code = exited.result() if exited.done() else None
        how = f"ended with exit code {self._exit_code}" if exited.done() else "was killed and has not ended"
        self.ended.set_result(f"{self._killed_for} and {how}" if self._killed_for else how)
        self._enter(State.GONE)
        await self._link.close()

    def _trouble(self, now: float) -> str:
        """What is wrong with it; empty while nothing is."""
        limits, is_late = self._limits, now > self._ends_at
        silent = self._watchdog.trouble(now)
        if self.state is State.DRAINING:
            return f"did not end within {limits.drain_s + limits.close_s:g} s" if is_late else ""
        if self.loading is not None:
            name, version = self.loading
            return f"did not load {name} version {version} within {limits.load_s:g} s" if is_late else ""
        if self.state is State.STARTING:
            return f"did not start within {limits.start_s:g} s" if is_late else ""
        return silent

    async def _hear(self) -> None:
        async for report in self._link.heard():
            match report:
                case Loading(name=name, version=version):
                    self._loads((name, version))
                case Applied():
                    self._loads(None)
                    self._answer(report)
                case Listening() if not self._listening.done():
                    self.problem = report.problem
                    self._listening.set_result(report)
                    if self.state is State.STARTING and not report.problem:
                        self._watchdog.heard(asyncio.get_running_loop().time())
                        self._enter(State.READY)
                case Pong():
                    self._watchdog.heard(asyncio.get_running_loop().time())
                    self.counts = report.counts
                    self._questions.answered(report.number, report.counts)
                case AskTotal():
                    self.on_ask_total(report.number)
                case Stopped():
                    self.counts = report.counts
                case Broken():
                    self.broken = report.reason
                    self.on_change()
        self._hears = False
        self._questions.end()
        self._link.say(Stop())  # it may still read, if only its own message was invalid
        if self.is_alive:
            self._enter(State.DRAINING)

    def _loads(self, what: tuple[str, int] | None) -> None:
        self.loading = what
        if not self.is_alive:
            return
        within_s = self._limits.start_s if what is None else self._limits.load_s
        self._ends_at = asyncio.get_running_loop().time() + within_s

    def _answer(self, applied: Applied) -> None:
        """Resolves all who waited for this line-up or an earlier one, which a worker may skip."""
        waiting, self._waiting = self._waiting, []
        for number, answer in waiting:
            if number > applied.number:
                self._waiting.append((number, answer))
            elif not answer.done():
                answer.set_result(applied)


async def _started(launch: Launch, ends: tuple[int, int]) -> asyncio.subprocess.Process:
    """Raises OSError."""
    try:
        return await asyncio.create_subprocess_exec(
            *launch.command,
            env=launch.environment,
            pass_fds=(*ends, *launch.files, *launch.held),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=2,  # standard output is the supervisor's
            start_new_session=True,  # Ctrl-C in a terminal must reach only the supervisor
        )
    finally:
        for held in launch.files:
            os.close(held)
