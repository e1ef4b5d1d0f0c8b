"""The workers of a server: all serve the same, one that ends unasked is replaced, and what one knows all know."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from vouch.server.counting.counts import Counts, total
from vouch.server.errors import Refused
from vouch.server.lineup.verdict import VerifiedVersion
from vouch.server.link.messages import Forget, NotServed, Order, Serve, Verifying
from vouch.server.serving.catalog import Refusal, There, still_refused
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.launch import Workplace
from vouch.server.supervisor.slot import Company, Member
from vouch.server.supervisor.state import ServedModel, State


class Crew:
    """Some workers; for the watcher, all there is to tell."""

    def __init__(self, workplaces: Sequence[Workplace], settings: ServeSettings) -> None:
        drain_s = settings.drain_delay_s + settings.grace_s
        company = Company(self._known, self._give_up, self.counts, drain_s)
        self._members = [Member(workplace, company) for workplace in workplaces]
        self._settings = settings
        self._started_s = time.time()
        self._listening = asyncio.Event()
        self._given_up = asyncio.get_running_loop().create_future()
        self._served: dict[str, tuple[ServedModel, Serve]] = {}
        self._installs = self._refused_ever = 0
        self._refusals: dict[str, dict[int, Refusal]] = {}
        self._verifying: dict[str, tuple[int, ...]] = {}

    async def start(self) -> None:
        """Starts all of them; returns when they listen.

        Raises:
            StartFailed: one of them does not start.
        """
        started = await asyncio.gather(*(member.start() for member in self._members), return_exceptions=True)
        for problem in filter(None, started):  # when all have begun to be looked after
            raise problem
        self._listening.set()

    async def given_up(self) -> str:
        """Returns when a worker's place cannot be filled, with the reason; until then it waits."""
        reason: str = await asyncio.shield(self._given_up)
        return reason

    def _give_up(self, reason: str) -> None:
        if not self._given_up.done():
            self._given_up.set_result(reason)

    async def stop(self) -> None:
        """Has all of them drain, and waits; those that take longer than they may are ended."""
        delay_s, grace_s = self._settings.drain_delay_s, self._settings.grace_s
        await asyncio.gather(*(member.stop(delay_s, grace_s) for member in self._members))

    def kill(self) -> None:
        """Ends all of them at once, with the calls that they answer."""
        for member in self._members:
            member.kill()

    @property
    def ready_workers(self) -> int:
        """How many serve at least one model."""
        return sum(member.ready for member in self._members)

    async def counts(self) -> Counts:
        """What all workers have counted, those that have ended included."""
        return total(await asyncio.gather(*(member.counts() for member in self._members)))

    async def state(self) -> State:
        """What there is to tell at this moment."""
        return State(
            started_s=self._started_s,
            counts=await self.counts(),
            served=tuple(model for _, (model, _) in sorted(self._served.items())),
            installs=self._installs,
            refusals=self._refused_ever,
            refused=tuple((name, version) for name in sorted(self._refusals) for version in self._refusals[name]),
            workers=sum(member.alive for member in self._members),
            ready_workers=self.ready_workers,
            restarts=sum(member.restarts for member in self._members),
        )

    async def install(self, verified: VerifiedVersion) -> None:
        """Has all workers serve a verified version, as soon as they listen.

        Raises:
            Refused: none of them can. One that cannot while others can is replaced.
        """
        await self._listening.wait()
        name, version, verdict = verified.name, verified.version, verified.verdict
        order = Serve(name=name, version=version, path=verified.path, digest=verdict.digest, served=verdict.served)
        answers = await asyncio.gather(*(member.serve(order) for member in self._members))
        problems = [answer for answer in answers if answer]
        if len(problems) == len(answers):
            raise Refused(problems[0])
        self._served[name] = (
            ServedModel(name, version, verdict.claim, verdict.served, verdict.digest),
            order,
        )
        self._installs += 1
        self._refusals[name] = {key: value for key, value in self._refusals.get(name, {}).items() if key > version}
        for member, answer in zip(self._members, answers, strict=True):
            if answer is None:
                member.tell(order)  # it has come since, and was told what was served before
            elif answer:
                member.replace(f"it does not serve {verified}: {answer}")

    def served_version(self, name: str) -> int:
        """The version that answers now; 0 where there is none."""
        return self._served[name][0].version if name in self._served else 0

    def begin_verifying(self, name: str, versions: Iterable[int]) -> None:
        """Says which versions of this model are being looked at."""
        self._verifying[name] = tuple(versions)
        self._tell(Verifying(name=name, versions=self._verifying[name]))

    def end_verifying(self, name: str) -> None:
        """The opposite."""
        self._verifying.pop(name, None)
        self._tell(Verifying(name=name))

    def refuse(self, name: str, refusal: Refusal) -> None:
        """Remembers why a version is not served."""
        self._refusals.setdefault(name, {})[refusal.version] = refusal
        self._refused_ever += 1
        self._tell(NotServed(name=name, version=refusal.version, reason=refusal.reason))

    def forget_all_but(self, there: There) -> None:
        """Drops what is remembered of versions that are neither served nor there any more."""
        kept = still_refused(self._refusals, there)
        if kept != {name: versions for name, versions in self._refusals.items() if versions}:
            self._tell(Forget(there=dict(there)))
        self._refusals = kept

    def _tell(self, order: Order) -> None:
        for member in self._members:
            member.tell(order)

    def _known(self) -> list[Order]:
        """What a new worker is told first."""
        verifying = [Verifying(name=name, versions=versions) for name, versions in self._verifying.items()]
        refused = [
            NotServed(name=name, version=one.version, reason=one.reason)
            for name, refusals in self._refusals.items()
            for one in refusals.values()
        ]
        return [*verifying, *refused, *(order for _, order in self._served.values())]
