import logging
import shutil
from pathlib import Path

import pytest

from tests.support.tiny import publish_tiny, random_validation
from tests.support.watching import House
from vouch.bundle.store import ModelsFolder


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
