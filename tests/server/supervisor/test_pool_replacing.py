import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.pools import LIMITS, RETRIES, SOON, House, house
from tests.support.scripted_worker import Scripts
from vouch.server.errors import StartFailed


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
