"""Workers that follow the line-up, and what becomes of versions that end them."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted_worker import Scripts
from vouch.bundle.accuracy import Accuracy
from vouch.server.errors import StartFailed
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


async def test_every_worker_serves_the_line_up(tmp_path: Path) -> None:
    """Those that are there, and one that takes the place of another."""
    async with house(tmp_path, [{}], [{}]) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        await found.kill_worker()
        await found.scripts[0].until("loading tiny:1", times=2)
        await found.until_served(1, workers=2)

        assert found.pool.restarts == 1
        assert found.pool.ready_workers == 2


async def test_a_worker_takes_calls_only_when_it_serves_what_is_to_be_served(tmp_path: Path) -> None:
    """A restarted one would answer NOT_FOUND, or from nothing."""
    async with house(tmp_path, [{}]) as found:
        found.publish(1)
        await found.until_served(1)
        await found.kill_worker()
        await found.scripts[0].until("listens", times=2)

        second = [what for pid, what in found.scripts[0].log if pid != found.scripts[0].log[0][0]]
        assert [what.split()[0] for what in second] == ["started", "loading", "applied", "listens"]


async def test_a_new_version_is_loaded_by_one_worker_first(tmp_path: Path) -> None:
    """Where it dies of it, the others do not."""
    patient = replace(RETRIES, alone_s=30.0)  # longer than a death goes unnoticed on the busiest machine
    dies = {"load": {"tiny:2": "dies"}}
    async with house(tmp_path, [dies], [dies], retries=patient) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        found.publish(1, 2)
        await found.until(lambda: found.refusals)
        await found.until_served(1, workers=2)

        assert sum(scripts.times("loading tiny:2") for scripts in found.scripts) == 1


@pytest.mark.parametrize(
    ("does", "deaths", "reason"),
    [
        ("dies", 1, "ended with exit code 4 while it loaded this version"),
        ("is killed", 2, "ended with exit code -9 while it loaded this version"),
        ("hangs", 1, "did not load tiny version 2 within 0.3 s"),
        ("closes", 1, "closed its channel while it loaded this version"),
        ("refuses", 1, "wrong shape"),
    ],
)
async def test_a_version_that_workers_cannot_load_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, does: str, deaths: int, reason: str
) -> None:
    """The last good one is served on, by the next worker too; the reason is said, and nothing loops."""
    limits = replace(LIMITS, load_s=0.3)
    async with house(tmp_path, [{"load": {"tiny:2": does}}], limits=limits) as found:
        found.publish(1)
        await found.until_served(1)
        with caplog.at_level(logging.ERROR):
            found.publish(1, 2)
            await found.until(lambda: found.refusals)
        await found.until_served(1)
        await found.kill_worker()
        await found.until_served(1)

        assert found.scripts[0].times("loading tiny:2") == deaths
        assert list(found.refusals) == [2]
        assert reason in found.refusals[2]
        assert "tiny version 2 is refused: no worker can serve it" in caplog.text
        assert found.published.refusals == 1


async def test_without_a_good_version_a_server_stays_there_and_serves_none(tmp_path: Path) -> None:
    """Its workers live, and whoever asks is told why."""
    async with house(tmp_path, [{"load": {"tiny:1": "dies"}}]) as found:
        found.publish(1)
        await found.until(lambda: found.refusals)
        await found.until(lambda: found.pool.workers)

        assert found.pool.ready_workers == 0
        assert found.model.live is None


async def test_want_of_memory_is_no_verdict(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, and the version before answers meanwhile."""
    async with house(tmp_path, [{"load": {"tiny:2": "passing 2"}}]) as found:
        found.publish(1)
        await found.until_served(1)
        with caplog.at_level(logging.ERROR):
            found.publish(1, 2)
            await found.until_served(2)

        assert found.scripts[0].times("loading tiny:2") == 3
        assert "a worker does not serve tiny version 2: no memory; it tries again in 0.05 s" in caplog.text
        assert found.refusals == {}
        assert found.pool.restarts == 0


async def test_a_successor_that_cannot_serve_what_others_do_takes_no_calls(tmp_path: Path) -> None:
    """Its callers would be told UNAVAILABLE where another worker has an answer; it is tried again."""
    scripts = [{}, {"load": {"tiny:1": "refuses"}}, {"load": {"tiny:1": "refuses"}}, {}]
    async with house(tmp_path, scripts, [{}]) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        await found.kill_worker()
        await found.until_served(1, workers=2)

        assert found.scripts[0].times("loading tiny:1") == 4
        assert found.scripts[0].times("listens") == 2
        assert found.refusals == {}


@pytest.mark.parametrize("then", ["dies", "closes", "breaks", "is silent"])
async def test_a_worker_that_cannot_go_on_is_replaced(tmp_path: Path, then: str) -> None:
    """Whatever way it ends, or does not."""
    limits = replace(LIMITS, silent_s=0.2)
    async with house(tmp_path, [{"then": then}, {}], limits=limits) as found:
        found.publish(1)
        await found.until_served(1)
        await found.scripts[0].until("listens", times=2)
        await found.until(lambda: found.pool.restarts == 1)
        first = found.scripts[0].log[0][0]
        await found.until(lambda: not Path(f"/proc/{first}").exists())

        assert found.pool.workers == 1


async def test_a_successor_is_ready_before_the_one_before_it_stops(tmp_path: Path) -> None:
    """Nobody has to wait for it."""
    async with house(tmp_path, [{"then": "breaks"}, {}]) as found:
        await found.scripts[0].until("stops")

        done = [what for _, what in found.scripts[0].log]
        assert done.index("stops") > max(at for at, what in enumerate(done) if what == "listens")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"start": "is absent"}, "a worker cannot be started: .*no/such/program"),
        ({"start": "dies"}, "it ended with exit code 3"),
        ({"start": "hangs"}, r"did not start within 0\.5 s"),
        ({"listen": "the port is taken"}, "^the port is taken$"),
    ],
)
async def test_a_first_worker_that_does_not_start_is_the_servers_failure(
    tmp_path: Path, script: dict[str, Any], reason: str
) -> None:
    """Not one that is tried again and again."""
    with pytest.raises(StartFailed, match=reason):
        async with house(tmp_path, [{}], [script], limits=replace(LIMITS, start_s=0.5)):
            pass


async def test_a_slot_that_cannot_be_filled_is_given_up(tmp_path: Path) -> None:
    """With the reason; a server that only seems to be there helps nobody."""
    async with house(tmp_path, [{"then": "dies"}, {"start": "is absent"}]) as found, asyncio.timeout(30):
        assert "a worker did not start 4 times in a row; the last one: a worker can" in await found.pool.given_up()


async def test_workers_that_take_calls_and_end_are_replaced_again_and_again(tmp_path: Path) -> None:
    """What ends them may come from callers, and these must not end a server."""
    async with house(tmp_path, [{"then": "dies"}]) as found:
        await found.scripts[0].until("listens", times=SOON.most_in_vain + 3)

        assert not found.pool._given_up.done()


async def test_one_that_does_not_stop_in_time_is_ended(tmp_path: Path) -> None:
    """A server always ends."""
    async with asyncio.timeout(20), house(tmp_path, [{"stop": "hangs"}]) as found:
        (pid, _), *_ = found.scripts[0].log

    assert not Path(f"/proc/{pid}").exists()


async def test_a_pool_that_is_stopped_while_it_starts_leaves_no_process(tmp_path: Path) -> None:
    """SIGTERM may come at any moment."""
    folder = tmp_path / "0"
    folder.mkdir()
    found = House([Scripts(folder, [{"start": "hangs"}])], LIMITS, RETRIES, tmp_path)
    starting = asyncio.create_task(found.pool.start())
    await found.scripts[0].until("started")
    (pid, _), *_ = found.scripts[0].log
    starting.cancel()
    async with asyncio.timeout(20):
        await found.pool.stop(0.0)

    assert not Path(f"/proc/{pid}").exists()


async def test_a_worker_that_cannot_serve_what_others_do_never_ends_the_server(tmp_path: Path) -> None:
    """However often it is tried: the others serve well."""
    async with house(tmp_path, [{}, {"load": {"tiny:1": "passing 99"}}], [{}]) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        await found.kill_worker()
        await found.scripts[0].until("loading tiny:1", times=SOON.most_in_vain + 4)

        assert not found.pool._given_up.done()
        assert found.pool.ready_workers == 1
        assert found.refusals == {}


async def test_what_a_worker_could_not_load_is_judged_once(tmp_path: Path) -> None:
    """It says so again with every line-up, whatever has changed in that."""
    refuses = {"load": {"tiny:2": "refuses"}}
    async with house(tmp_path, [{}], [refuses]) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        slot = found.pool._slots[1]
        slot.replace = lambda reason: None  # type: ignore[method-assign]  # it stays, and is asked again
        found.publish(1, 2)
        await found.until_served(2)
        for number in range(4):
            found.publish(1, name=f"other{number}")
            found.publish(1, 2)
            await found.scripts[1].until(f"applied {found.published.line_up.number}")

        assert ("tiny", 2) in {(name, one.version) for name, one in found.published.line_up.versions()}


async def test_a_version_that_was_loaded_since_is_not_blamed_for_what_was_before(tmp_path: Path) -> None:
    """Workers that are killed while they load, months apart, are no verdict."""
    killed = {"load": {"tiny:1": "is killed"}}
    scripts = [{}, *[killed, {}] * 4]
    async with house(tmp_path, scripts, [{}]) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        for _ in range(4):
            await found.kill_worker()
            await found.until_served(1, workers=2)

        assert found.refusals == {}


async def test_a_worker_that_is_stopped_keeps_no_version_from_the_others(tmp_path: Path) -> None:
    """Not for longer than one loads a new version alone."""
    async with house(tmp_path, [{}], [{}]) as found:
        found.publish(1)
        await found.until_served(1, workers=2)
        (first,) = {pid for pid, what in found.scripts[0].log if what == "listens"}
        os.kill(first, signal.SIGSTOP)
        try:
            found.publish(1, 2)
            await found.until_served(2)
        finally:
            os.kill(first, signal.SIGCONT)
