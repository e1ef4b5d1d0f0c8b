import asyncio
import errno
import logging
import os
import shutil
from pathlib import Path

import pytest

from tests.support.tiny import publish_tiny
from tests.support.watching import House
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Incomplete
from vouch.server.lineup.verdict import Verdict
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.watcher import WatchLimits


async def test_a_models_folder_that_goes_away_is_told_once_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is served stays served."""
    house = House(tmp_path / "models")
    publish_tiny(house.folder)
    await house.look()
    shutil.rmtree(tmp_path / "models")

    with caplog.at_level(logging.ERROR):
        await house.look()
        await house.look()
    assert caplog.text.count("served versions stay served") == 1
    assert house.served() == 1


async def test_a_folder_without_models_is_told_once_with_what_it_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be meant: the first model is served when it comes."""
    house = House(tmp_path / "models")
    house.folder.path.mkdir()
    with caplog.at_level(logging.WARNING):
        await house.look()
        await house.look()
        (house.folder.path / "photos").mkdir()
        await house.look()
        publish_tiny(house.folder)
        await house.look()

    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "models is empty; vouch train publishes there" in told[0]
    assert "models contains no model, but photos; expected a models folder, which contains NAME/VERSION" in told[1]
    assert house.served() == 1


async def test_a_version_that_could_not_be_looked_at_is_not_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No memory or no process now says nothing about the version: it is tried again, but not at every look."""
    house = House(tmp_path, WatchLimits(retry_s=0.5))
    publish_tiny(house.folder)
    house.undecided = True
    with caplog.at_level(logging.ERROR):
        await house.look()
        await house.look()
    assert house.verified == [1]
    assert house.refusals() == {}
    assert "tiny version 1 could not be verified now: out of memory; it is tried again in 0.5 s" in caplog.text

    house.undecided = False
    await house.look_until(house.served)

    assert house.verified == [1, 1]


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ESTALE])
async def test_a_disk_that_is_away_for_a_moment_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Neither of a version, nor of the watching."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    away = True

    def read(_: Path) -> None:
        if away:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("vouch.server.supervisor.watcher.check_manifest_size", read)
    await house.look()
    assert (house.refusals(), house.verified) == ({}, [])

    away = False
    await house.look_until(house.served)


async def test_whatever_a_look_runs_into_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the disk, and a mistake of ours, are said once; what comes afterwards is served."""
    house = House(tmp_path)
    contents = house.folder.contents
    failures: list[Exception] = [OSError(errno.EIO, "Input/output error"), OSError(errno.EIO, "Input/output error")]
    failures.append(RuntimeError("a bug"))

    def read() -> dict[str, list[int] | None]:
        if failures:
            raise failures.pop(0)
        return contents()

    monkeypatch.setattr(house.folder, "contents", read)
    watching = asyncio.create_task(house.watcher.watch(0.001))
    with caplog.at_level(logging.ERROR):
        async with asyncio.timeout(20):
            while failures:
                await asyncio.sleep(0.001)
        publish_tiny(house.folder)
        async with asyncio.timeout(20):
            while not house.served():
                await asyncio.sleep(0.001)

    assert caplog.text.count("Input/output error; served versions stay served") == 1
    assert "RuntimeError: a bug" in caplog.text
    watching.cancel()


async def test_a_look_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder over a network may never answer."""
    house = House(tmp_path, WatchLimits(look_s=0.05))
    publish_tiny(house.folder)

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.watcher, "_look", never)
    await house.look()

    assert not house.watcher.found.readable


async def test_a_copy_in_progress_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A version that grows file by file is neither refused nor counted, and is served when it is whole."""
    whole = publish_tiny(ModelsFolder(tmp_path / "elsewhere")).path
    house = House(tmp_path / "models", WatchLimits(settled_s=30.0))
    verify = house.verify

    async def strictly(path: Path) -> Verdict:
        if sorted(file.name for file in path.iterdir()) != sorted(file.name for file in whole.iterdir()):
            raise Incomplete("it does not contain exactly the files of its manifest")
        return await verify(path)

    house.verify = strictly  # type: ignore[method-assign]
    place = tmp_path / "models/tiny/1"
    place.mkdir(parents=True)
    with caplog.at_level(logging.INFO):
        for file in sorted(whole.iterdir()):
            await house.look()
            house.watcher._again_at = dict.fromkeys(house.watcher._again_at, 0.0)  # as if a moment had passed
            assert house.served() == 0
            shutil.copyfile(file, place / file.name)
        await house.look()

    assert house.served() == 1
    assert house.published.refusals == 0
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"], caplog.text
    assert "is being copied" in caplog.text


async def test_a_copy_that_was_given_up_is_refused(tmp_path: Path) -> None:
    """When nobody has written to it for a while."""
    house = House(tmp_path, WatchLimits(settled_s=0.3))
    place = publish_tiny(house.folder).path
    (place / "manifest.json").unlink()
    await house.look()
    assert house.refusals() == {}

    await house.look_until(house.refusals)

    assert "manifest.json cannot be read" in house.refusals()[1]


async def test_a_folder_that_cannot_be_read_is_not_readable(tmp_path: Path) -> None:
    """The served folder is gone with it, and comes back with it."""
    house = House(tmp_path / "models")
    publish_tiny(house.folder)
    await house.look()
    aside = (tmp_path / "models").rename(tmp_path / "aside")
    await house.look()
    assert house.watcher.found == Found(False, {"tiny": 1}, {("tiny", 1): False})

    aside.rename(tmp_path / "models")
    await house.look()

    assert house.watcher.found == Found(True, {"tiny": 1}, {("tiny", 1): True})


async def test_a_folder_that_was_not_looked_at_for_long_is_not_readable(tmp_path: Path) -> None:
    """Whatever holds the looking up."""
    house = House(tmp_path, WatchLimits(stale_s=0.05))
    publish_tiny(house.folder)
    await house.look()
    async with asyncio.timeout(10):
        while house.watcher.found.readable:
            await asyncio.sleep(0.01)
