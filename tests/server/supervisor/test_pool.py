"""Workers that follow the line-up, and what becomes of versions that end them."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.pools import LIMITS, RETRIES, SOON, house


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
