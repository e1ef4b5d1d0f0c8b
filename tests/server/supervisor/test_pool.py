import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import vouch.server.supervisor.slot
import vouch.server.supervisor.watchdog
from tests.support.tiny import publish_tiny, verified
from vouch.bundle.accuracy import Accuracy
from vouch.bundle.store import Bundle, ModelsFolder
from vouch.server.errors import Refused, StartFailed
from vouch.server.serving.catalog import Refusal
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.launch import Launch
from vouch.server.supervisor.pool import Crew

COUNTED = Accuracy(correct=270, total=300)
WORKER = """
import json, os, socket, sys, threading
end = socket.socket(fileno=int(sys.argv[1]))
log = open(sys.argv[2], "a", buffering=1)
def say(**message):
    end.sendall(json.dumps(message).encode() + b"\\n")
say(kind="ready")
asked = 0
for line in end.makefile():
    order = json.loads(line)
    if order["kind"] != "ping":
        log.write(f"{os.getpid()} {order['kind']} {order.get('name') or order.get('delay_s')}\\n")
    if order["kind"] == "serve":
        asked += 1
        refused = sys.argv[3] == "refuses" or sys.argv[3] == "reluctant" and asked == 1
        say(kind="serving", path=order["path"], problem="no memory" if refused else "")
    if order["kind"] == "ping" and sys.argv[3] != "stuck":
        say(kind="pong")
    if sys.argv[3] == "mortal" or (order["kind"] == "stop" and sys.argv[3] != "deaf"):
        break
    if sys.argv[3] == "lingering" and order["kind"] == "serve":
        end.shutdown(socket.SHUT_RDWR)
        threading.Event().wait()
"""
"""A worker that keeps what it is told in a file."""


class Place:
    """Starts such workers; each line of what they were told is (process, kind, name)."""

    def __init__(self, folder: Path, *kinds: str) -> None:
        self._folder, self._kinds = folder, kinds
        self._started = 0

    def __call__(self, end: int) -> Launch:
        kind = self._kinds[self._started % len(self._kinds)]
        log = self._folder / f"told-{self._started % len(self._kinds)}"
        self._started += 1
        if kind == "absent":
            return Launch(("/no/such/program",), dict(os.environ))
        words = (str(end), str(log), kind)
        return Launch((sys.executable, "-c", WORKER, *words), dict(os.environ))

    def told(self, place: int = 0) -> list[tuple[str, ...]]:
        path = self._folder / f"told-{place}"
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []

    async def until_told(self, kind: str, times: int = 1, place: int = 0) -> None:
        async with asyncio.timeout(20):
            while sum(one[1] == kind for one in self.told(place)) < times:
                await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouch.server.supervisor.slot, "FIRST_PAUSE_S", 0.001)


@asynccontextmanager
async def crew(folder: Path, *kinds: str, workers: int = 0, grace_s: float = 10.0) -> AsyncIterator[tuple[Crew, Place]]:
    """The workers are of these kinds, one of each unless it is said how many; their successors of the next ones."""
    place = Place(folder, *kinds)
    settings = ServeSettings(models=folder, workers=workers or len(kinds), grace_s=grace_s)
    members = Crew([place] * settings.workers, settings)
    try:
        await members.start()
        yield members, place
    finally:
        await members.stop()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return publish_tiny(ModelsFolder(tmp_path / "models"))


async def test_all_are_told_all(tmp_path: Path, bundle: Bundle) -> None:
    """A version is served when every worker has said so; what else is known reaches all of them too."""
    async with crew(tmp_path, "willing", "willing") as (members, place):
        members.begin_verifying("tiny", [1])
        await members.install(verified(bundle, COUNTED))
        members.end_verifying("tiny")
        members.refuse("tiny", Refusal(2, "why"))
        assert members.served_version("tiny") == 1
        assert members.served_version("other") == 0

    for number in (0, 1):
        assert [one[1] for one in place.told(number)] == ["verifying", "serve", "verifying", "not_served", "stop"]


async def test_one_that_ends_unasked_is_replaced_and_told_everything(
    tmp_path: Path, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """Its successor serves the same, and knows what was refused."""
    async with crew(tmp_path, "willing") as (members, place):
        await members.install(verified(bundle, COUNTED))
        members.refuse("tiny", Refusal(2, "why"))
        await place.until_told("not_served")
        (first, *_) = place.told()[0]
        with caplog.at_level(logging.ERROR):
            os.kill(int(first), 9)
            await place.until_told("serve", times=2)

        second = [one for one in place.told() if one[0] != first]
        assert [one[1] for one in second][:2] == ["not_served", "serve"]
        assert "a worker ended with -9; another takes its place" in caplog.text


async def test_what_no_worker_can_serve_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    """With the worker's reason; the version before it stays."""
    async with crew(tmp_path, "refuses") as (members, _):
        with pytest.raises(Refused, match="no memory"):
            await members.install(verified(bundle, COUNTED))
        assert members.served_version("tiny") == 0


async def test_a_worker_that_cannot_serve_what_others_can_is_replaced(tmp_path: Path, bundle: Bundle) -> None:
    """It would answer from another version than they."""
    async with crew(tmp_path, "willing", "refuses") as (members, place):
        await members.install(verified(bundle, COUNTED))
        await place.until_told("stop", place=1)
        assert place.told(1)[-1][2] == "0.0", "the others take its callers at once"
        await place.until_told("serve", times=2)  # the successor is of the first kind again

        assert members.served_version("tiny") == 1
        assert len({one[0] for one in place.told()}) == 2


async def test_a_successor_that_cannot_serve_what_is_served_is_told_again(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What kept it passes, a disk that is away for a minute say; it does not stay empty for good, nor is it ready."""
    monkeypatch.setattr(vouch.server.supervisor.slot, "TELL_AGAIN_AFTER_S", 0.2)
    async with crew(tmp_path, "willing", "reluctant", workers=1) as (members, place):
        await members.install(verified(bundle, COUNTED))
        with caplog.at_level(logging.ERROR):
            os.kill(int(place.told()[0][0]), 9)
            await place.until_told("serve", place=1)
            assert members.ready_workers == 0
            await place.until_told("serve", times=2, place=1)
            async with asyncio.timeout(20):
                while members.ready_workers == 0:
                    await asyncio.sleep(0.01)

        assert "no memory; it is told again in 0.2 s" in caplog.text


async def test_a_place_is_filled_when_processes_can_be_had_again(
    tmp_path: Path, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine that starts none for a while is no reason to give up one that ended."""
    async with crew(tmp_path, "willing", "absent", "absent", "willing", workers=1) as (members, place):
        await members.install(verified(bundle, COUNTED))
        with caplog.at_level(logging.ERROR):
            os.kill(int(place.told()[0][0]), 9)
            await place.until_told("serve", place=3)

        assert caplog.text.count("a worker did not start: a worker cannot be started: ") == 2


async def test_models_that_are_gone_are_forgotten_by_all(tmp_path: Path) -> None:
    """What was refused of a folder that somebody removed is no longer told to anybody, once."""
    async with crew(tmp_path, "willing") as (members, place):
        members.refuse("gone", Refusal(1, "why"))
        members.forget_all_but({"other": frozenset({1})})
        members.forget_all_but({"other": frozenset({1})})
        await place.until_told("forget")
        assert (await members.state()).refused == ()

    assert [one[1] for one in place.told()] == ["not_served", "forget", "stop"]


async def test_a_refused_version_that_was_taken_away_is_forgotten_beside_one_that_serves(
    tmp_path: Path, bundle: Bundle
) -> None:
    """Whoever looks for refused versions finds those that lie there; all of a folder that cannot be read may."""
    async with crew(tmp_path, "willing") as (members, _):
        await members.install(verified(bundle, COUNTED))
        for version in (2, 3):
            members.refuse("tiny", Refusal(version, "why"))
        members.forget_all_but({"tiny": None})
        assert (await members.state()).refused == (("tiny", 2), ("tiny", 3))
        members.forget_all_but({"tiny": frozenset({1, 3})})

        assert (await members.state()).refused == (("tiny", 3),)


async def test_one_that_does_not_stop_within_the_grace_is_ended(tmp_path: Path) -> None:
    """A server always ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vouch.server.supervisor.slot, "STOP_SLACK_S", 0.0)
        async with asyncio.timeout(20), crew(tmp_path, "deaf", grace_s=0):
            pass


async def test_one_that_gives_no_sign_of_life_is_replaced(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would let its callers wait until their deadlines."""
    monkeypatch.setattr(vouch.server.supervisor.slot, "LOOK_INTERVAL_S", 0.01)
    async with crew(tmp_path, "stuck") as (members, place):
        await members.install(verified(bundle, COUNTED))
        with caplog.at_level(logging.ERROR):
            monkeypatch.setattr(vouch.server.supervisor.watchdog, "SILENCE_S", 0.05)
            monkeypatch.setattr(vouch.server.supervisor.watchdog, "MEASURED_S", 0.5)
            await place.until_told("serve", times=2)

        assert "gave no sign of life" in caplog.text


async def test_one_that_is_not_heard_any_more_and_does_not_end_is_replaced(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place would stay empty for ever."""
    monkeypatch.setattr(vouch.server.supervisor.slot, "STOP_SLACK_S", 0.1)
    async with crew(tmp_path, "lingering", "willing", workers=1, grace_s=0) as (members, place):
        await members.install(verified(bundle, COUNTED))

        await place.until_told("serve", place=1)
        assert not Path(f"/proc/{place.told()[0][0]}").exists()


async def test_a_place_that_cannot_be_filled_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some workers that did not start, with the reason; a server that only seems to be there helps nobody."""
    monkeypatch.setattr(vouch.server.supervisor.slot, "MAX_TRIES", 3)
    async with crew(tmp_path, "mortal", *["absent"] * 5, workers=1) as (members, _), asyncio.timeout(30):
        members.begin_verifying("tiny", [1])  # the first ends with the first word that it hears

        assert "a worker did not start 4 times in a row; the last one did not start: " in await members.given_up()


async def test_workers_that_start_and_end_are_replaced_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends them may come from callers, and these must not end a server."""
    monkeypatch.setattr(vouch.server.supervisor.slot, "MAX_TRIES", 1)
    monkeypatch.setattr(vouch.server.supervisor.slot, "LONGEST_PAUSE_S", 0.01)
    async with crew(tmp_path, "mortal") as (members, place):
        members.begin_verifying("tiny", [1])  # each ends with the first word that it hears
        await place.until_told("verifying", times=5)

        assert not members._given_up.done()


async def test_a_worker_that_does_not_start_is_the_servers_failure(tmp_path: Path) -> None:
    """Not one that is tried again and again."""
    settings = ServeSettings(models=tmp_path)
    launch = Launch((sys.executable, "-c", "raise SystemExit(3)"), dict(os.environ))
    members = Crew([lambda end: launch] * settings.workers, settings)

    with pytest.raises(StartFailed, match="a worker did not start"):
        await members.start()
    await members.stop()


async def test_a_process_that_cannot_be_had_at_the_start_is_told(tmp_path: Path) -> None:
    """In one line, and the workers that could be started end."""
    with pytest.raises(StartFailed, match="a worker cannot be started: .*no/such/program"):
        async with crew(tmp_path, "willing", "absent"):
            pass
