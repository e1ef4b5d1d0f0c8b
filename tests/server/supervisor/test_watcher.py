"""A models folder that is watched: what is verified, what is decided, and what nothing can end."""

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tiny import ROTATED, publish_tiny, random_validation, tiny_graph, verified
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Incomplete, Refused, Undecided
from vouch.server.lineup.verdict import Claimed, Verdict
from vouch.server.model.compared import compared
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.published import Published
from vouch.server.supervisor.watcher import Watcher, WatchLimits

AT_ONCE = WatchLimits(retry_s=0.05, settled_s=0.0)


class House:
    """A watcher whose verification says what the test wants; workers serve at once what they are to serve."""

    def __init__(self, path: Path, limits: WatchLimits = AT_ONCE) -> None:
        self.folder = ModelsFolder(path)
        self.published = Published(path)
        self.published.on_change = self._serve
        self.watcher = Watcher(self.folder, self.published, self, limits=limits)
        self.verified: list[int] = []
        self.refused: dict[int, str] = {}
        self.wrong_digest = False
        self.undecided = False
        self.passing: set[int] = set()
        self.held: set[str] = set()
        self.let_go = asyncio.Event()

    def _serve(self) -> None:
        self.published.run(frozenset((name, one.version) for name, one in self.published.line_up.versions()))

    async def verify(self, path: Path) -> Verdict:
        bundle = self.folder.open(path.parent.name, int(path.name))
        version = bundle.manifest.version
        self.verified.append(version)
        if bundle.manifest.name in self.held:
            await self.let_go.wait()
        if self.undecided or version in self.passing:
            raise Undecided("out of memory")
        if version in self.refused:
            raise Refused(self.refused[version])
        verdict = verified(bundle).verdict
        return verdict.model_copy(update={"digest": "0" * 64}) if self.wrong_digest else verdict

    async def claims(self, path: Path, older: tuple[int, ...]) -> tuple[Claimed, ...]:
        opened = [self.folder.open(path.parent.name, version) for version in older]
        return tuple(
            Claimed(version=one.manifest.version, claim=one.manifest.claim.accuracy, compared=compared(one))
            for one in opened
        )

    async def look(self) -> None:
        await self.watcher.look()
        await self.watcher.settled()

    async def look_until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await self.look()
                await asyncio.sleep(0.01)

    def served(self, name: str = "tiny") -> int:
        live = next((model.live for model in self.published.line_up.models if model.name == name), None)
        return live.version if live else 0

    def refusals(self, name: str = "tiny") -> dict[int, str]:
        models = {model.name: model for model in self.published.line_up.models}
        return {one.version: one.reason for one in models[name].refusals} if name in models else {}


async def test_the_newest_version_that_vouches_for_itself_is_served(tmp_path: Path) -> None:
    """A refused version gives way to the one below it, and its reason is kept."""
    house = House(tmp_path)
    for _ in range(3):
        publish_tiny(house.folder)
    house.refused[3] = "too good to be true"
    await house.look()

    assert house.verified == [3, 2]
    assert house.served() == 2
    assert house.refusals() == {3: "too good to be true"}


async def test_what_speaks_against_a_served_version_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning each, with the model; none of a good one."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    publish_tiny(house.folder, "tossed", validation=random_validation())
    with caplog.at_level(logging.WARNING):
        await house.look()

    chance, *promises = [record.getMessage() for record in caplog.records]
    assert chance.startswith("tossed version 1: no better than chance: ")
    assert len(promises) == 2
    assert {(record.__dict__["event"]["event"], record.__dict__["event"]["model"]) for record in caplog.records} == {
        ("caveat", "tossed")
    }
    assert caplog.records[0].__dict__["event"]["kind"] == "no_better_than_chance"


async def test_a_version_is_looked_at_once_unless_it_changes(tmp_path: Path) -> None:
    """Scanning again is cheap; a version that was still being copied gets another look."""
    house = House(tmp_path)
    bundle = publish_tiny(house.folder)
    house.refused[1] = "half of it is missing"
    await house.look()
    await house.look()
    assert house.verified == [1]

    house.refused.clear()
    (bundle.path / "README.md").write_text("now whole")
    await house.look()

    assert house.verified == [1, 1]
    assert house.served() == 1


async def test_a_new_version_is_swapped_in_and_an_older_one_never_is(tmp_path: Path) -> None:
    """Versions only go up."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    publish_tiny(house.folder)
    shutil.move(tmp_path / "tiny" / "1", tmp_path / "kept")
    await house.look()
    shutil.move(tmp_path / "kept", tmp_path / "tiny" / "1")
    publish_tiny(house.folder)
    await house.look()

    assert house.verified == [2, 3]
    assert house.served() == 3


async def test_a_bundle_that_changed_while_it_was_verified_is_refused(tmp_path: Path) -> None:
    """What is loaded has to be what was verified."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    house.wrong_digest = True
    await house.look()

    assert house.refusals() == {1: "it changed while it was verified"}


async def test_a_folder_that_is_no_bundle_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The probe is not even started."""
    (tmp_path / "tiny" / "5").mkdir(parents=True)
    house = House(tmp_path)
    await house.look()

    assert house.verified == []
    assert "manifest.json cannot be read" in house.refusals()[5]


async def test_a_bug_in_verifying_does_not_end_the_watching(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is in the log, and the next version is looked at as ever."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    house.refused = None  # type: ignore[assignment]  # the fake verification now raises a TypeError
    with caplog.at_level(logging.ERROR):
        await house.look()
    assert "TypeError" in caplog.text

    house.refused = {}
    publish_tiny(house.folder)
    await house.look()

    assert house.served() == 2


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
    assert "models holds no model, but photos; expected a models folder, which holds NAME/VERSION" in told[1]
    assert house.served() == 1


async def test_a_bundle_in_a_folder_of_another_name_is_refused_with_its_place(tmp_path: Path) -> None:
    """Nobody is told that nothing was published."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    (tmp_path / "tiny").rename(tmp_path / "Tiny")
    await house.look()

    assert house.served("Tiny") == 0
    assert house.refusals("Tiny")[1].endswith("says it is tiny version 1, whose place is tiny/1")


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
            raise Incomplete("it does not hold the files of its manifest")
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


async def test_no_model_waits_for_another(tmp_path: Path) -> None:
    """One whose verification does not end keeps no other from being served."""
    house = House(tmp_path)
    publish_tiny(house.folder, "endless")
    house.held.add("endless")
    await house.watcher.look()
    publish_tiny(house.folder, "tiny")
    await house.watcher.look()
    async with asyncio.timeout(10):
        while not house.served():
            await asyncio.sleep(0.001)

    assert not house.served("endless")
    house.let_go.set()
    await house.watcher.settled()


async def test_a_refused_version_that_was_taken_away_is_forgotten_and_looked_at_if_it_comes_back(
    tmp_path: Path,
) -> None:
    """The one that serves goes on; what comes back is looked at even if no byte of it has changed."""
    house = House(tmp_path / "models")
    for _ in range(2):
        publish_tiny(house.folder)
    house.refused[2] = "why"
    await house.look()
    aside = (tmp_path / "models/tiny/2").rename(tmp_path / "2")
    await house.look()
    assert house.refusals() == {}

    aside.rename(tmp_path / "models/tiny/2")
    await house.look()

    assert house.verified == [2, 1, 2]
    assert house.refusals() == {2: "why"}


async def test_what_the_folder_holds_is_found(tmp_path: Path) -> None:
    """Models with their versions, those that were emptied too, and whether what is served lies there."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    (tmp_path / "emptied").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a file").touch()
    await house.look()
    await house.look()

    assert house.watcher.found == Found(True, {"tiny": 1, "emptied": 0}, {("tiny", 1): True})


async def test_a_served_folder_that_vanishes_or_becomes_another_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once in the log, with the reason; it is there again when the very bundle is, whenever it was copied."""
    house = House(tmp_path / "models")
    bundle = publish_tiny(house.folder)
    await house.look()

    async def there() -> bool:
        await house.look()
        return house.watcher.found.there[("tiny", 1)]

    aside = bundle.path.rename(tmp_path / "aside")
    with caplog.at_level(logging.INFO):
        assert [await there(), await there()] == [False, False]
        assert caplog.text.count("tiny version 1 is served from memory, but its folder was changed") == 1
        shutil.copytree(aside, bundle.path, copy_function=shutil.copyfile)
        assert await there()
        assert "the folder of tiny version 1 is as published again" in caplog.text
    (bundle.path / "model.onnx").write_bytes(b"another one")
    assert not await there()
    shutil.rmtree(bundle.path)
    other = publish_tiny(ModelsFolder(tmp_path / "others"), graph=tiny_graph(ROTATED))
    other.path.rename(bundle.path)
    assert not await there()
    assert house.served() == 1


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


async def test_a_refused_model_whose_folder_is_gone_is_forgotten(tmp_path: Path) -> None:
    """Callers who name no model need not hear of it for ever."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    house.refused[1] = "why"
    await house.look()
    shutil.rmtree(tmp_path / "tiny")
    await house.look()

    assert house.published.line_up.models == ()


async def test_of_a_casualty_the_last_good_version_is_served_and_it_is_looked_at_when_it_changes(
    tmp_path: Path,
) -> None:
    """Across looks; whoever repairs the folder has it tried again."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    await house.look()
    newer = publish_tiny(house.folder)
    house.published.on_change = lambda: None  # no worker gets so far as to serve it
    await house.look()
    house.published.died("tiny", 2, "a worker ended with exit code 4")
    await house.look()
    assert (house.served(), list(house.refusals())) == (1, [2])
    assert "no worker can serve it: a worker ended with exit code 4" in house.refusals()[2]

    house.published.on_change = house._serve
    (newer.path / "README.md").touch()
    await house.look()

    assert house.served() == 2
    assert house.refusals() == {}


async def test_a_served_folder_that_is_gone_gives_way_to_an_older_version_when_nobody_serves_it_any_more(
    tmp_path: Path,
) -> None:
    """As long as a worker serves it, it goes on."""
    house = House(tmp_path / "models")
    older, newer = publish_tiny(house.folder), publish_tiny(house.folder)
    await house.look()
    shutil.rmtree(newer.path)
    await house.look()
    assert house.served() == 2

    house.published.run(frozenset())
    await house.look()

    assert house.served() == 1
    assert older.path.exists()


async def test_a_version_that_is_worse_than_the_one_before_is_held_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the numbers in the log, once; what follows and is as good as the first is served."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    await house.look()
    publish_tiny(house.folder, validation=random_validation())
    with caplog.at_level(logging.ERROR):
        await house.look()
        await house.look()

    assert house.served() == 1
    assert "held back: worse than version 1: it has" in house.refusals()[2]
    (record,) = caplog.records
    assert record.__dict__["event"]["event"] == "held_back"
    assert record.__dict__["event"]["than"] == 1
    assert house.published.refused() == []
    assert [(verified.version, why.than) for verified, why in house.published.held_back()] == [(2, 1)]

    publish_tiny(house.folder)
    await house.look()

    assert house.served() == 3
    assert house.published.held_back() == []


async def test_a_restart_holds_back_the_same_version(tmp_path: Path) -> None:
    """It is not served for a moment; of the older ones, only the one that claims more is verified."""
    folder = ModelsFolder(tmp_path)
    publish_tiny(folder, validation=random_validation())
    publish_tiny(folder)
    publish_tiny(folder, validation=random_validation())
    house = House(tmp_path)
    served: list[int] = []
    serve = house.published.on_change

    def tell() -> None:
        served.append(house.served())
        serve()

    house.published.on_change = tell

    await house.look()

    assert house.verified == [3, 2]
    assert set(served) == {0, 2}


async def test_an_older_version_that_cannot_be_looked_at_keeps_nothing_from_being_served(tmp_path: Path) -> None:
    """Rather a version that may be worse than none; when the older one vouches for itself, it takes over."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    publish_tiny(house.folder, validation=random_validation())
    house.passing = {1}
    await house.look()
    assert house.served() == 2

    house.passing = set()
    await house.look_until(lambda: house.served() == 1)

    assert list(house.refusals()) == [2]


async def test_versions_of_other_classes_are_not_compared_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What one gets right says nothing about the other."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    publish_tiny(house.folder, task="multi_label")
    with caplog.at_level(logging.INFO):
        await house.look()

    assert house.served() == 2
    assert "tiny version 2 is not compared with older versions that have other classes: 1" in caplog.text
