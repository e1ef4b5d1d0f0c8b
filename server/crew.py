"""The workers of a server: all serve the same, one that ends unasked is replaced, and what one knows all know."""

import asyncio
import logging
import socket
from collections.abc import Callable

from bundle.accuracy import Accuracy
from bundle.store import Bundle
from server.catalog import Refusal
from server.control import (
    Broken,
    Channel,
    Forget,
    NotServed,
    Order,
    Ready,
    Serve,
    Serving,
    Stop,
    Verifying,
    channel,
)
from server.errors import Refused, StartFailed
from server.settings import ServeSettings
from server.workplace import Workplace

log = logging.getLogger("vouch.server")

START_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.5
"""Before a worker is replaced; twice as long after each that did not last."""
LONGEST_PAUSE_S = 30.0
LASTED_S = 60.0
"""A worker that has lived so long ended for a reason of its own."""
LISTENING_INTERVAL_S = 0.02
STOP_SLACK_S = 6.0
"""Beyond the grace, for what has to be closed."""


class Crew:
    """Some workers; for the watcher, all there is to tell."""

    def __init__(self, workplace: Workplace, settings: ServeSettings, port: int) -> None:
        self._workplace = workplace
        self._settings = settings
        self._port = port
        self._members: list[_Member] = []
        self._served: dict[str, tuple[int, Serve]] = {}
        self._refusals: dict[str, dict[int, Refusal]] = {}
        self._verifying: set[str] = set()

    async def start(self) -> None:
        """Starts all of them; returns when they listen.

        Raises:
            StartFailed: one of them does not start.
        """
        self._members = [_Member(self._workplace, self._known) for _ in range(self._settings.workers)]
        await asyncio.gather(*(member.start() for member in self._members))
        await self._until_listening()

    async def _until_listening(self) -> None:
        """A transport that listens only after its application is ready does not say when."""
        host = self._settings.host.strip("[]")
        while all(member.alive for member in self._members):
            try:
                _, writer = await asyncio.open_connection(host, self._port)
            except OSError:
                await asyncio.sleep(LISTENING_INTERVAL_S)
            else:
                writer.close()
                return
        raise StartFailed(f"nothing listens on {self._settings.host}:{self._port}; the worker's own words stand above")

    async def stop(self) -> None:
        """Has all of them drain, and waits; those that take longer than the grace are ended."""
        await asyncio.gather(*(member.stop(self._settings.grace_s) for member in self._members))

    async def install(self, bundle: Bundle, served: Accuracy) -> None:
        """Has all workers serve a verified bundle.

        Raises:
            Refused: none of them can. One that cannot while others can is replaced.
        """
        order = Serve(path=bundle.path, served=served)
        problems = await asyncio.gather(*(member.serve(order) for member in self._members))
        if all(problems):
            raise Refused(problems[0])
        name, version = bundle.manifest.name, bundle.manifest.version
        self._served[name] = (version, order)
        self._refusals[name] = {key: value for key, value in self._refusals.get(name, {}).items() if key > version}
        for member, problem in zip(self._members, problems, strict=True):
            if problem:
                member.replace(f"it does not serve {bundle}: {problem}")

    def served_version(self, name: str) -> int:
        """The version that answers now; 0 where there is none."""
        return self._served[name][0] if name in self._served else 0

    def begin_verifying(self, name: str) -> None:
        """Says that a version of this model is being looked at."""
        self._verifying.add(name)
        self._tell(Verifying(name=name, now=True))

    def end_verifying(self, name: str) -> None:
        """The opposite."""
        self._verifying.discard(name)
        self._tell(Verifying(name=name, now=False))

    def refuse(self, name: str, refusal: Refusal) -> None:
        """Remembers why a version is not served."""
        self._refusals.setdefault(name, {})[refusal.version] = refusal
        self._tell(NotServed(name=name, version=refusal.version, reason=refusal.reason))

    def forget_all_but(self, names: set[str]) -> None:
        """Drops what is remembered of models that are neither served nor there any more."""
        gone = set(self._refusals) - set(self._served) - names
        for name in gone:
            del self._refusals[name]
        if gone:
            self._tell(Forget(names=frozenset(names)))

    def _tell(self, order: Order) -> None:
        for member in self._members:
            member.tell(order)

    def _known(self) -> list[Order]:
        """What a new worker is told first."""
        verifying = [Verifying(name=name, now=True) for name in sorted(self._verifying)]
        refused = [
            NotServed(name=name, version=one.version, reason=one.reason)
            for name, refusals in self._refusals.items()
            for one in refusals.values()
        ]
        return [*verifying, *refused, *(order for _, order in self._served.values())]


class _Member:
    """A worker's place: whoever fills it is a process with a channel."""

    def __init__(self, workplace: Workplace, known: Callable[[], list[Order]]) -> None:
        self._workplace = workplace
        self._known = known
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._ready = asyncio.Event()
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = False
        self._problem = ""

    @property
    def alive(self) -> bool:
        """Whether somebody fills the place."""
        return self._ready.is_set()

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

    async def serve(self, order: Serve) -> str:
        """Has the worker serve a bundle; why it does not. One that is being replaced will be told."""
        if not self._ready.is_set():
            return ""
        answer = self._answers[str(order.path)] = asyncio.get_running_loop().create_future()
        self.tell(order)
        problem: str = await answer
        return problem

    def replace(self, reason: str) -> None:
        """Has the worker drain and another take its place."""
        log.error("a worker is replaced: %s", reason)
        self.tell(Stop())

    async def stop(self, grace_s: float) -> None:
        """Has the worker drain; ends it where that takes longer than the grace."""
        self._stopping = True
        if self._channel is not None:
            self._channel.say(Stop())
        if self._process is not None and self._keeping is not None:
            _, unfinished = await asyncio.wait((self._keeping,), timeout=grace_s + STOP_SLACK_S)
            if unfinished:
                self._process.kill()
                await asyncio.wait((self._keeping,))

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
                    for order in self._known():
                        worker.say(order)
                    self._ready.set()
                case Serving():
                    self._answered(str(report.path), report.problem)
                case Broken():
                    self.replace(report.reason)
        self._ready.clear()
        for path in tuple(self._answers):
            self._answered(path, "")
        await worker.close()

    def _answered(self, path: str, problem: str) -> None:
        answer = self._answers.pop(path, None)
        if answer is not None and not answer.done():  # whoever asked may no longer wait
            answer.set_result(problem)

    async def _keep(self, hearing: asyncio.Task[None]) -> None:
        """Fills the place again whenever its worker has ended, until the crew stops."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_S
        began = loop.time()
        while True:
            assert self._process is not None
            await hearing
            code = await self._process.wait()
            if self._stopping:
                return
            pause = FIRST_PAUSE_S if loop.time() - began > LASTED_S else min(2 * pause, LONGEST_PAUSE_S)
            log.error("a worker ended with %d; another takes its place in %g s", code, pause)
            await asyncio.sleep(pause)
            if self._stopping:
                return
            began = loop.time()
            hearing = await self._fill()
