"""A line-up against what is loaded: what is missing is loaded, and no failure ends it."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.lineups import line_up, listed
from tests.support.tiny import publish_tiny
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.opening import Bundle, open_bundle
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Closed, NotReady, Refused
from vouch.server.lineup.lineup import LineUp, Model, Refusal, Version
from vouch.server.link.messages import Applied, Loading, Problem, Report
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served
from vouch.server.worker.reconcile import Reconciler

WITHIN_S = 30


class House:
    """A reconciler at work, with a loader that fails as it is told and waits where it is held."""

    def __init__(self, folder: Path) -> None:
        self.folder = ModelsFolder(folder)
        self.catalog = Catalog()
        self.fails: dict[str, Exception] = {}
        """Model -> what loading it raises."""
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.loaded: list[Served] = []
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.reconciler = Reconciler(self.catalog, self._load, self.reports.put_nowait, folder)

    async def _load(self, name: str, version: Version) -> Served:
        await self.goes_on.wait()
        if (err := self.fails.get(name)) is not None:
            raise err
        bundle = open_bundle(version.path, version.digest)
        batcher = start_batcher(lambda parts: (*parts,), Limits(4, 100))
        self.loaded.append(Served(bundle, version.served, batcher, plan=version.plan))
        return self.loaded[-1]

    def publish(self, name: str = "tiny") -> Bundle:
        return publish_tiny(self.folder, name)

    async def heard(self) -> Report:
        async with asyncio.timeout(WITHIN_S):
            return await self.reports.get()

    async def applied(self) -> Applied:
        """What came of a line-up, whatever is loaded before."""
        while not isinstance(report := await self.heard(), Applied):
            pass
        return report

    async def follow(self, wanted: LineUp) -> Applied:
        self.reconciler.follow(wanted)
        return await self.applied()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    started = House(tmp_path / "models")
    running = asyncio.create_task(started.reconciler.run())
    yield started
    assert not running.done()
    running.cancel()
    await started.catalog.close()


def to_serve(*bundles: Bundle, number: int = 1) -> LineUp:
    """One live version a model."""
    return line_up(
        *(Model(name=one.manifest.name, versions=(listed(one, inline_images=5),)) for one in bundles), number=number
    )


async def test_what_is_missing_is_loaded_and_served(house: House) -> None:
    """Each is said before; then that all is so. The run plan is the line-up's."""
    a, b = house.publish("a"), house.publish("b")

    house.reconciler.follow(to_serve(a, b, number=7))
    said = [await house.heard() for _ in range(3)]

    assert said == [Loading(name="a", version=1), Loading(name="b", version=1), Applied(number=7)]
    assert house.catalog.find("a").bundle.digest == a.digest
    assert house.catalog.find("b").plan.inline_images == 5


async def test_what_is_there_is_not_loaded_again(house: House) -> None:
    """Another line-up that changes nothing here is answered at once."""
    a = house.publish("a")
    await house.follow(to_serve(a))

    house.reconciler.follow(to_serve(a, number=2))

    assert await house.heard() == Applied(number=2)
    assert len(house.loaded) == 1


async def test_facts_are_known_before_anything_is_loaded(house: House) -> None:
    """While a slow one is loaded, callers are answered by what the newest line-up says."""
    a = house.publish("a")
    house.goes_on.clear()
    house.reconciler.follow(to_serve(a))
    assert await house.heard() == Loading(name="a", version=1)

    newer = line_up(*to_serve(a).models, Model(name="b", refusals=(Refusal(version=1, reason="why"),)), number=2)
    house.reconciler.follow(newer)

    assert [entry.name for entry in house.catalog.entries()] == ["a", "b"]
    house.goes_on.set()
    assert await house.heard() == Applied(number=2)  # the first was overtaken and is not answered
    assert len(house.loaded) == 1


async def test_what_is_no_longer_wanted_when_it_is_loaded_is_ended(house: House) -> None:
    """It is not served, and its memory is given back."""
    a = house.publish("a")
    house.goes_on.clear()
    house.reconciler.follow(to_serve(a))
    await house.heard()

    house.reconciler.follow(line_up(Model(name="a"), number=2))
    house.goes_on.set()

    assert await house.applied() == Applied(number=2)
    with pytest.raises(NotReady):
        house.catalog.find("a")
    with pytest.raises(Closed):
        await house.loaded[0].batcher.submit(np.zeros((1, 1)))


async def test_a_swap_waits_for_the_new_version_and_then_lets_the_old_one_go(house: House) -> None:
    """Never a moment without an answer."""
    old = house.publish()
    await house.follow(to_serve(old))
    new = house.publish()
    house.goes_on.clear()

    house.reconciler.follow(to_serve(new, number=2))
    await house.heard()
    meanwhile = house.catalog.find("tiny").version
    house.goes_on.set()
    await house.applied()

    assert (meanwhile, house.catalog.find("tiny").version) == (1, 2)
    async with asyncio.timeout(WITHIN_S):
        await house.loaded[0].end()


@pytest.mark.parametrize(
    ("err", "reason", "passing"),
    [
        (Refused("the graph is another"), "the graph is another", False),
        (InvalidBundle("it is not a bundle"), "it is not a bundle", False),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error", True),
        (MemoryError(), "there was not enough memory to load it", True),
        (RuntimeError("can't start new thread"), "it could not be loaded now: can't start new thread", True),
        (
            KeyError("a bug"),
            "loading it failed with an unexpected error (KeyError); see the server's log",
            False,
        ),
    ],
)
async def test_whatever_loading_raises_is_the_problem_of_one_version(
    house: House, err: Exception, reason: str, passing: bool
) -> None:
    """The others are served, and the next line-up is heard."""
    a, b = house.publish("a"), house.publish("b")
    house.fails["a"] = err

    applied = await house.follow(to_serve(a, b))

    assert applied.problems == (Problem(name="a", version=1, reason=reason, passing=passing),)
    assert house.catalog.find("b").version == 1
    assert (await house.follow(to_serve(b, number=2))).problems == ()


async def test_what_was_served_is_served_on_where_its_successor_cannot_be(house: House) -> None:
    """And callers learn why."""
    old = house.publish()
    await house.follow(to_serve(old))
    new = house.publish()
    house.fails["tiny"] = Refused("it does not load here")

    applied = await house.follow(to_serve(new, number=2))

    assert [problem.version for problem in applied.problems] == [2]
    assert house.catalog.find("tiny").version == 1
    assert house.catalog.entry("tiny").refusals == (Refusal(version=2, reason="it does not load here"),)


async def test_a_passing_problem_is_tried_again_with_the_same_number(house: House) -> None:
    """The supervisor says the same again after a while."""
    a = house.publish("a")
    house.fails["a"] = OSError(errno.EMFILE, "Too many open files")
    assert (await house.follow(to_serve(a))).problems[0].passing
    house.fails.clear()

    assert await house.follow(to_serve(a)) == Applied(number=1)
    assert house.catalog.find("a").version == 1


async def test_a_decided_problem_is_not_tried_again_as_long_as_it_is_listed(house: House) -> None:
    """It would end alike; once it has been taken off the line-up, it is."""
    a = house.publish("a")
    house.fails["a"] = Refused("it does not load here")
    first = await house.follow(to_serve(a))
    house.fails.clear()

    house.reconciler.follow(to_serve(a, number=2))
    again = await house.heard()
    await house.follow(line_up(number=3))

    assert again == Applied(number=2, problems=first.problems)
    assert await house.follow(to_serve(a, number=4)) == Applied(number=4)


async def test_callers_are_told_no_folder_and_the_supervisor_is(house: House) -> None:
    """Its log has them; a caller may be anybody."""
    a = house.publish("a")
    house.fails["a"] = FileNotFoundError(errno.ENOENT, "No such file or directory", str(a.path / "model.onnx"))

    (problem,) = (await house.follow(to_serve(a))).problems

    assert str(a.path) in problem.reason
    assert house.catalog.entry("a").refusals == (
        Refusal(version=1, reason="[Errno 2] No such file or directory: 'a/1/model.onnx'"),
    )
