"""A models folder that is watched: what is verified, what is decided, and what nothing can end."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest

from tests.support.tiny import ROTATED, publish_tiny, random_validation, tiny_graph
from tests.support.watching import House
from vouch.bundle.store import ModelsFolder
from vouch.server.supervisor.presence import Found


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


async def test_a_bundle_in_a_folder_of_another_name_is_refused_with_its_place(tmp_path: Path) -> None:
    """Nobody is told that nothing was published."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    (tmp_path / "tiny").rename(tmp_path / "Tiny")
    await house.look()

    assert house.served("Tiny") == 0
    assert house.refusals("Tiny")[1].endswith("names tiny version 1, which belongs in tiny/1")


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
        assert caplog.text.count("tiny version 1 is served from memory, but its folder was changed or removed") == 1
        shutil.copytree(aside, bundle.path, copy_function=shutil.copyfile)
        assert await there()
        assert "the folder of tiny version 1 is complete and unchanged again" in caplog.text
    (bundle.path / "model.onnx").write_bytes(b"another one")
    assert not await there()
    shutil.rmtree(bundle.path)
    other = publish_tiny(ModelsFolder(tmp_path / "others"), graph=tiny_graph(ROTATED))
    other.path.rename(bundle.path)
    assert not await there()
    assert house.served() == 1


async def test_a_refused_model_whose_folder_is_gone_is_forgotten(tmp_path: Path) -> None:
    """Callers who name no model need not hear of it for ever."""
    house = House(tmp_path)
    publish_tiny(house.folder)
    house.refused[1] = "why"
    await house.look()
    shutil.rmtree(tmp_path / "tiny")
    await house.look()

    assert house.published.line_up.models == ()
