"""A pool of scripted workers, with short time limits."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.scripted_worker import Scripts
from vouch.bundle.accuracy import Accuracy
from vouch.server.lineup.comparing import Compared
from vouch.server.lineup.lineup import Model, RunPlan
from vouch.server.lineup.verdict import Claimed, Verdict, VerifiedVersion
from vouch.server.supervisor.pool import Pool, Retries
from vouch.server.supervisor.published import Published
from vouch.server.supervisor.slot import Restarts
from vouch.server.supervisor.states import Limits

COUNTED, COMPARED = Accuracy(correct=270, total=300), Compared(classes="0" * 64)
LIMITS = Limits(start_s=20.0, load_s=20.0, drain_s=0.5, close_s=0.5, look_s=0.02)
SOON = Restarts(first_s=0.01, most_s=0.05, most_in_vain=3)
RETRIES = Retries(first_s=0.05, most_s=0.2, alone_s=0.5)


class House:
    """A pool, what it is to serve, and what its workers did."""

    def __init__(self, scripts: list[Scripts], limits: Limits, retries: Retries, folder: Path) -> None:
        self.published = Published(folder)
        self.scripts = scripts
        self.pool = Pool(scripts, self.published, limits, SOON, retries)

    def publish(self, *versions: int, name: str = "tiny") -> None:
        """These versions are in the folder, and the last of them has just been verified."""
        self.published.look({name: frozenset(versions)})
        verdict = Verdict(
            digest=f"{versions[-1]:064x}",
            claim=COUNTED,
            served=COUNTED,
            compared=COMPARED,
            plan=RunPlan(threads=1),
            files={},
        )
        older = [Claimed(version=one, claim=COUNTED, compared=COMPARED) for one in versions[:-1]]
        self.published.claim(name, older)
        self.published.verify(VerifiedVersion(name, versions[-1], Path(f"{name}/{versions[-1]}"), verdict))

    @property
    def model(self) -> Model:
        (model,) = self.published.line_up.models
        return model

    @property
    def refusals(self) -> dict[int, str]:
        return {one.version: one.reason for one in self.model.refusals}

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.01)

    async def kill_worker(self, slot: int = 0) -> None:
        """Ends the worker that takes calls there, and waits until that is noticed."""
        before = self.pool.restarts
        os.kill([pid for pid, what in self.scripts[slot].log if what == "listens"][-1], signal.SIGKILL)
        await self.until(lambda: self.pool.restarts > before)

    async def until_served(self, version: int, workers: int = 1) -> None:
        """So many workers serve this version of the model."""
        await self.until(
            lambda: (
                sum(
                    slot.worker is not None and slot.ready and ("tiny", version) in slot.worker.running
                    for slot in self.pool._slots
                )
                == workers
            )
        )


@asynccontextmanager
async def house(
    folder: Path, *scripts: list[dict[str, Any]], limits: Limits = LIMITS, retries: Retries = RETRIES
) -> AsyncIterator[House]:
    """A pool with a slot for each list of scripts, of which each worker takes the next one."""
    folders = [folder / str(number) for number in range(len(scripts))]
    for one in folders:
        one.mkdir()
    made = House([Scripts(one, list(of)) for one, of in zip(folders, scripts, strict=True)], limits, retries, folder)
    try:
        await made.pool.start()
        yield made
    finally:
        await made.pool.stop(0.0)
